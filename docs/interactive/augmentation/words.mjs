// What the page says, in both languages.
export const words = {
  en: {
    title: "How strong may augmentation be?",
    question: "One digit becomes sixteen: shifted, turned, zoomed. Each copy must keep its label. A LeNet-5 that was trained with strength 1 reads every copy; watch where it, and then you, can read no more.",
    strength: "strength", noise: "white noise σ", digit: "the digit", seed: "other copies", original: "Original", copies: "Sixteen copies, and what LeNet-5 reads (red: wrong)",
    read: "copies still read right", shift: "shift up to", rotation: "turned by up to", zoom: "zoomed by up to", pixels: "pixels",
    formula: "x → A x + t, read back bilinearly",
    try: ["At strength 0 all copies are one image: nothing to learn from. At 1, would you write it like that?",
      "Turn a 6 and a 9 far enough: the label is no longer true. That is no augmentation, that is wrong data.",
      "Noise instead of strength: the copies look new, but nobody writes noise. What the network learns from it helps little."],
  },
  pt: {
    title: "Até onde vale a pena aumentar os dados?",
    question: "Um dígito vira dezesseis: deslocado, girado, esticado. Cada cópia tem de manter o rótulo. Uma LeNet-5 treinada com força 1 lê cada cópia; veja onde ela, e depois você, não consegue mais ler.",
    strength: "força", noise: "ruído branco σ", digit: "o dígito", seed: "outras cópias", original: "Original", copies: "Dezesseis cópias e o que a LeNet-5 lê (vermelho: errado)",
    read: "cópias ainda lidas certo", shift: "desloca até", rotation: "gira até", zoom: "zoom de até", pixels: "pixels",
    formula: "x → A x + t, lido de volta bilinearmente",
    try: ["Com força 0, todas as cópias são a mesma imagem: nada a aprender. Com 1, você escreveria assim?",
      "Gire bastante um 6 e um 9: o rótulo deixa de ser verdade. Isso já não é aumento de dados, é dado errado.",
      "Ruído no lugar da força: as cópias parecem novas, mas ninguém escreve ruído. O que a rede aprende com ele ajuda pouco."],
  },
};
