// What the page says, in both languages.
export const words = {
  en: {
    title: "How much does a shift change after pooling?",
    question: "The image moves by a few pixels. Pixel for pixel it is another image; after pooling less so, because a window answers the same wherever inside it the ink lies.",
    image: "Image", shifted: "Image, shifted", pooled: "Pooled", pooledShifted: "Pooled, of the shifted image", shift: "shift to the right (pixels)", down: "shift down (pixels)", size: "window", kind: "pooling", max: "maximum", mean: "mean",
    house: "house", cross: "cross", slope: "slope", dot: "dot", clear: "blank", before: "the image changed by", after: "the pooled maps changed by", side: "pooled size", pad: "drawing, 12 by 12 pixels",
    formula: "change = |a − b| / |a|",
    try: ["Draw a few single pixels and shift by 1: with some luck the maximum does not notice. Shift by 2: now it must.",
      "Does the mean or the maximum forgive a shift more easily? Try thin lines, then thick ones.",
      "Larger windows forgive more, and know less. At 6 × 6, can you still tell the house from the cross?"],
  },
  pt: {
    title: "Quanto um deslocamento muda depois do pooling?",
    question: "A imagem anda alguns pixels. Pixel a pixel, ela virou outra; depois do pooling nem tanto, porque a janela dá a mesma resposta onde quer que a tinta esteja dentro dela.",
    image: "Imagem", shifted: "Imagem deslocada", pooled: "Depois do pooling", pooledShifted: "Deslocada, depois do pooling", shift: "deslocamento para a direita (pixels)", down: "deslocamento para baixo (pixels)", size: "janela", kind: "pooling", max: "máximo", mean: "média",
    house: "casa", cross: "cruz", slope: "diagonal", dot: "ponto", clear: "vazio", before: "a imagem mudou", after: "depois do pooling mudou", side: "tamanho do resultado", pad: "desenho de 12 por 12 pixels",
    formula: "mudança = |a − b| / |a|",
    try: ["Desenhe alguns pixels soltos e desloque 1: com um pouco de sorte o máximo nem percebe. Desloque 2: agora ele percebe.",
      "Quem perdoa mais um deslocamento, a média ou o máximo? Tente com traços finos e depois grossos.",
      "Janelas maiores perdoam mais e sabem menos. Com 6 × 6, ainda dá para distinguir a casa da cruz?"],
  },
};
