// What the page says, in both languages.
export const words = {
  en: {
    title: "One addition, and a deep network learns",
    question: "Two networks with the same layers and the same initial weights learn the grey curve before your eyes. The only difference: the residual one adds each layer's input to its output.",
    depth: "layers", scale: "initial weights, times He's", step: "training steps", curves: "The curve to learn (grey), plain (orange) and residual (blue)", loss: "Loss (logarithmic)", norms: "Gradient of each layer at this step (logarithmic)",
    plain: "plain", residual: "residual", steps: "step", layer: "layer", lossPlain: "loss of the plain network", lossResidual: "loss of the residual network", ratio: "first layer's gradient, residual / plain", seed: "draw of the weights",
    formula: "plain: h ← W relu(h)\nresidual: h ← h + W relu(h)",
    try: ["At 4 layers both learn. From how many on does the plain one stay behind?",
      "Set the initial weights to He's, 1.0: the plain network starts better, and the residual one with far too much.",
      "Watch the gradients while both train: where in the plain network is nothing to be heard?"],
  },
  pt: {
    title: "Uma soma, e uma rede profunda aprende",
    question: "Duas redes com as mesmas camadas e os mesmos pesos iniciais aprendem a curva cinza diante dos seus olhos. A única diferença: a residual soma a entrada de cada camada à saída.",
    depth: "camadas", scale: "pesos iniciais, vezes os de He", step: "passos de treino", curves: "A curva a aprender (cinza), comum (laranja) e residual (azul)", loss: "Perda (escala logarítmica)", norms: "Gradiente de cada camada neste passo (escala logarítmica)",
    plain: "comum", residual: "residual", steps: "passo", layer: "camada", lossPlain: "perda da rede comum", lossResidual: "perda da rede residual", ratio: "gradiente da 1ª camada, residual / comum", seed: "sorteio dos pesos",
    formula: "comum: h ← W relu(h)\nresidual: h ← h + W relu(h)",
    try: ["Com 4 camadas as duas aprendem. A partir de quantas a comum fica para trás?",
      "Ponha os pesos iniciais nos de He, 1,0: a rede comum começa melhor, e a residual, com sinal demais.",
      "Olhe os gradientes enquanto as duas treinam: onde, na rede comum, não se ouve nada?"],
  },
};
