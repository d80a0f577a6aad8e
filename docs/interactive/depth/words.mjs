// What the page says, in both languages.
export const words = {
  en: {
    title: "What is left of the gradient in the first layer?",
    question: "The error travels back through every layer and is multiplied by φ′ and by the weights each time. A sigmoid's φ′ is at most 1/4. Make the network deeper and watch the first layers fall silent.",
    depth: "hidden layers", start: "initial weights", xavier: "Xavier", he: "He", small: "σ = 0.05",
    norms: "Length of each layer's gradient before the first step (logarithmic)", layer: "layer", sigmoid: "sigmoid", tanh: "tanh", relu: "ReLU",
    ratio_sigmoid: "sigmoid: first layer / last hidden layer", ratio_tanh: "tanh: first / last hidden", ratio_relu: "ReLU: first / last hidden", seed: "draw of the weights",
    formula: "δₗ = φ′(vₗ) ⊙ Wₗ₊₁ δₗ₊₁",
    try: ["With Xavier's weights, each sigmoid layer costs a factor of 4 to 5. How many layers until the first gets a millionth?",
      "Give ReLU Xavier's weights, then He's: half of the units are off, and He's factor 2 makes up for it.",
      "Small weights, σ = 0.05: for ReLU the ratio stays near 1, yet every gradient is tiny. The signal shrinks on the way up and the error on the way down; each layer gets their product."],
  },
  pt: {
    title: "Quanto do gradiente chega à primeira camada?",
    question: "O erro volta por todas as camadas e em cada uma é multiplicado por φ′ e pelos pesos. O φ′ da sigmoide é no máximo 1/4. Aumente a profundidade e veja as primeiras camadas se calarem.",
    depth: "camadas escondidas", start: "pesos iniciais", xavier: "Xavier", he: "He", small: "σ = 0,05",
    norms: "Norma do gradiente de cada camada antes do primeiro passo (escala logarítmica)", layer: "camada", sigmoid: "sigmoide", tanh: "tanh", relu: "ReLU",
    ratio_sigmoid: "sigmoide: primeira / última camada escondida", ratio_tanh: "tanh: primeira / última", ratio_relu: "ReLU: primeira / última", seed: "sorteio dos pesos",
    formula: "δₗ = φ′(vₗ) ⊙ Wₗ₊₁ δₗ₊₁",
    try: ["Com os pesos de Xavier, cada camada de sigmoides custa um fator de 4 a 5. Com quantas camadas a primeira recebe um milionésimo?",
      "Dê à ReLU os pesos de Xavier e depois os de He: metade das unidades está desligada, e o fator 2 de He compensa.",
      "Pesos pequenos, σ = 0,05: com a ReLU a razão fica perto de 1, mas todos os gradientes são minúsculos. O sinal encolhe na subida e o erro na descida; cada camada recebe o produto dos dois."],
  },
};
