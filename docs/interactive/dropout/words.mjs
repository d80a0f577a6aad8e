// What the page says, in both languages.
export const words = {
  en: {
    title: "Every step trains another network",
    question: "While it trains, each hidden unit is switched off with probability p, and the others are divided by 1 − p. No unit can rely on its neighbour; on average the output stays what it is without dropout.",
    rate: "dropout rate p", draws: "networks drawn", net: "The network of this draw", histogram: "Outputs of all networks drawn so far", output: "output", count: "networks",
    kept: "units that stay", networks: "networks that share these weights", now: "output of this draw", mean: "mean of the draws", test: "without dropout (as when tested)", deviation: "deviation, measured / by the formula",
    formula: "y = Σ w · h · r / (1 − p),  r = 0 or 1",
    try: ["Draw one network after the other: the mean of the outputs (blue) comes to the output without dropout (green).",
      "Raise p: the mean stays, the spread grows as √(p/(1 − p)). That is the noise that training must learn to live with.",
      "At p = 0 nothing is dropped. At p = 0.9, how many units are left?"],
  },
  pt: {
    title: "Cada passo treina outra rede",
    question: "Durante o treino, cada unidade escondida é desligada com probabilidade p, e as outras são divididas por 1 − p. Nenhuma pode contar com a vizinha; na média, a saída continua a mesma de quando não há dropout.",
    rate: "taxa de dropout p", draws: "redes sorteadas", net: "A rede deste sorteio", histogram: "Saídas de todas as redes sorteadas até aqui", output: "saída", count: "redes",
    kept: "unidades que ficam", networks: "redes que dividem estes pesos", now: "saída deste sorteio", mean: "média dos sorteios", test: "sem dropout (como no teste)", deviation: "desvio, medido / pela fórmula",
    formula: "y = Σ w · h · r / (1 − p),  r = 0 ou 1",
    try: ["Sorteie uma rede atrás da outra: a média das saídas (azul) chega à saída sem dropout (verde).",
      "Aumente p: a média fica, e o espalhamento cresce com √(p/(1 − p)). É esse ruído que o treino tem de aprender a suportar.",
      "Com p = 0 nada é desligado. Com p = 0,9, quantas unidades sobram?"],
  },
};
