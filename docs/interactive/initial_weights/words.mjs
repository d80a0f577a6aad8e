// What the page says, in both languages.
export const words = {
  en: {
    title: "How large should the first weights be?",
    question: "A signal of deviation 1 enters twenty layers of 64 units. Each layer multiplies its deviation by about the same factor; twenty times a little too small is nothing, twenty times a little too large explodes.",
    gain: "gain: σ of the weights = gain / √inputs", activation: "activation", linear: "linear", tanh: "tanh", relu: "ReLU", sigmoid: "sigmoid", seed: "draw of the weights", layer: "layer",
    histograms: "The outputs in layers 1, 5, 10, 15 and 20", deviations: "Deviation of the outputs, layer by layer (logarithmic)", last: "deviation after 20 layers", factor: "factor per layer", saturated: "saturated units (|y| > 0.95)", dead: "outputs that are 0",
    xavier: "Xavier", he: "He", formula: "Xavier: σ² = 1/n\nHe: σ² = 2/n",
    try: ["Linear: at gain 1 (Xavier) the signal lives. At 0.9, what is left after 20 layers?",
      "ReLU needs gain √2 (He): half of the units are 0, and half of the power is lost in each layer.",
      "tanh at gain 3 does not explode. Look at the histograms: all units sit at ±1, where the slope is 0."],
  },
  pt: {
    title: "De que tamanho devem ser os primeiros pesos?",
    question: "Um sinal de desvio 1 entra em vinte camadas de 64 unidades. Cada camada multiplica o desvio por quase o mesmo fator; vinte vezes um pouco menos não deixa nada, vinte vezes um pouco mais explode.",
    gain: "ganho: σ dos pesos = ganho / √entradas", activation: "ativação", linear: "linear", tanh: "tanh", relu: "ReLU", sigmoid: "sigmoide", seed: "sorteio dos pesos", layer: "camada",
    histograms: "As saídas nas camadas 1, 5, 10, 15 e 20", deviations: "Desvio das saídas, camada por camada (escala logarítmica)", last: "desvio depois de 20 camadas", factor: "fator por camada", saturated: "unidades saturadas (|y| > 0,95)", dead: "saídas iguais a 0",
    xavier: "Xavier", he: "He", formula: "Xavier: σ² = 1/n\nHe: σ² = 2/n",
    try: ["Linear: com ganho 1 (Xavier) o sinal sobrevive. Com 0,9, o que sobra depois de 20 camadas?",
      "A ReLU precisa do ganho √2 (He): metade das unidades vale 0, e metade da potência se perde em cada camada.",
      "tanh com ganho 3 não explode. Olhe os histogramas: todas as unidades estão em ±1, onde a inclinação é 0."],
  },
};
