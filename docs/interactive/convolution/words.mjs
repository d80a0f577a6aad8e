// What the page says, in both languages.
export const words = {
  en: {
    title: "A kernel walks over your drawing",
    question: "Draw in the image (mouse, finger, or arrow keys and space). The kernel stops at each place, multiplies what it sees by its weights and writes the sum into the map.",
    image: "Image, with its zeros around it", map: "Map: blue positive, orange negative", kernel: "kernel", drawing: "start from", house: "house", cross: "cross", slope: "slope", dot: "dot", clear: "blank",
    upright: "upright edges", level: "level edges", blur: "blur", edge: "outline", wide: "5 × 5", stride: "stride", padding: "padding", valid: "valid", same: "same", place: "place of the kernel",
    size: "size of the map", sum: "sum at this place", weights: "weights (yours to change)", pad: "drawing, 12 by 12 pixels",
    formula: "y(i, j) = Σ w(k, l) x(s·i + k, s·j + l)",
    try: ["A stride of 2: how large is the map with \"valid\", how large with \"same\"? Then with the 5 × 5 kernel?",
      "Draw one single pixel. The map shows the kernel, turned over.",
      "Change a weight. Make a kernel that answers to a rising slope but not to a falling one."],
  },
  pt: {
    title: "Um filtro passeia pelo seu desenho",
    question: "Desenhe na imagem (mouse, dedo, ou setas e barra de espaço). O filtro (kernel) para em cada posição, multiplica o que vê pelos seus pesos e escreve a soma no mapa.",
    image: "Imagem, com os zeros em volta", map: "Mapa: azul positivo, laranja negativo", kernel: "filtro", drawing: "comece com", house: "casa", cross: "cruz", slope: "diagonal", dot: "ponto", clear: "vazio",
    upright: "bordas verticais", level: "bordas horizontais", blur: "desfoque", edge: "contorno", wide: "5 × 5", stride: "passo (stride)", padding: "preenchimento (padding)", valid: "valid", same: "same", place: "posição do filtro",
    size: "tamanho do mapa", sum: "soma nesta posição", weights: "pesos (pode mudar)", pad: "desenho de 12 por 12 pixels",
    formula: "y(i, j) = Σ w(k, l) x(s·i + k, s·j + l)",
    try: ["Passo 2: que tamanho tem o mapa com \"valid\"? E com \"same\"? E com o filtro 5 × 5?",
      "Desenhe um único pixel. O mapa mostra o próprio filtro, de ponta-cabeça.",
      "Mude um peso. Faça um filtro que responda a uma diagonal que sobe, mas não a uma que desce."],
  },
};
