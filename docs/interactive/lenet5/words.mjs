// What the page says, in both languages.
export const words = {
  en: {
    title: "Draw a digit; LeNet-5 reads it",
    question: "The network of 1998 with its 61,706 weights runs in this page. Draw with the mouse or a finger (or arrow keys, space puts the pen down and up) and see what each layer makes of it.",
    draw: "Your digit", input: "What the network gets: 32 × 32", C1: "C1: 6 maps, 28 × 28", S2: "S2: 14 × 14", C3: "C3: 16 maps, 10 × 10", S4: "S4: 5 × 5", C5: "C5: 120 units", F6: "F6: 84 units",
    probabilities: "What it takes it for", clear: "Clear", examples: "or take a written one", digit: "LeNet-5 reads", sure: "with probability", second: "then comes", logit: "its logit", pad: "a field to draw a digit in",
    formula: "softmax(v)ₖ = exp(vₖ) / Σ exp(vⱼ)",
    try: ["Draw a 7 with and without its bar. Which maps of C1 see the bar?",
      "Turn a 4 slowly into a 9 by closing its top. Where does the network change its mind?",
      "Draw a letter or a face. It must answer with a digit, and is often very sure: a softmax has no \"none of these\"."],
  },
  pt: {
    title: "Desenhe um dígito; a LeNet-5 lê",
    question: "A rede de 1998, com seus 61.706 pesos, roda nesta página. Desenhe com o mouse ou o dedo (ou com as setas; a barra de espaço abaixa e levanta a caneta) e veja o que cada camada faz com o desenho.",
    draw: "Seu dígito", input: "O que a rede recebe: 32 × 32", C1: "C1: 6 mapas, 28 × 28", S2: "S2: 14 × 14", C3: "C3: 16 mapas, 10 × 10", S4: "S4: 5 × 5", C5: "C5: 120 unidades", F6: "F6: 84 unidades",
    probabilities: "O que ela acha que é", clear: "Limpar", examples: "ou use um já escrito", digit: "A LeNet-5 lê", sure: "com probabilidade", second: "em seguida vem", logit: "seu logit", pad: "campo para desenhar um dígito",
    formula: "softmax(v)ₖ = exp(vₖ) / Σ exp(vⱼ)",
    try: ["Desenhe um 7 com e sem o traço. Que mapas de C1 enxergam o traço?",
      "Transforme aos poucos um 4 em 9, fechando o topo. Onde a rede muda de ideia?",
      "Desenhe uma letra ou um rosto. Ela tem de responder com um dígito, e muitas vezes com muita certeza: a softmax não tem \"nenhum destes\"."],
  },
};
