// What the page says, in both languages.
export const words = {
  en: {
    title: "A ball with momentum in a long valley",
    question: "Across the valley it is steep, along it almost flat. Without a memory the walk zigzags and creeps; with momentum the zigzags cancel, and the way along the valley adds up.",
    alpha: "momentum α", eta: "step size η", valley: "how much steeper across than along", step: "steps taken", path: "The valley from above: with momentum (blue) and without (orange)", cost: "Height after n steps (logarithmic)", steps: "n", with: "with momentum", without: "without",
    bound: "converges below 2(1 + α)/λₘₐₓ =", rate: "slowest factor per step, with / without", height: "height now, with", heightWithout: "height now, without",
    formula: "v ← α v − η g,   w ← w + v",
    try: ["Raise α from 0: where is it fastest? From then on the ball overshoots and rolls back.",
      "With α = 0.9 you may use a step almost twice as large as without. Try it: orange leaves, blue stays.",
      "Make the valley longer (100 times steeper across): how many steps does each one need?"],
  },
  pt: {
    title: "Uma bola com momento num vale comprido",
    question: "De través o vale é íngreme; ao longo dele, quase plano. Sem memória, o caminho faz zigue-zague e se arrasta; com momento, os zigue-zagues se cancelam e o avanço ao longo do vale se acumula.",
    alpha: "momento α", eta: "tamanho do passo η", valley: "quantas vezes mais íngreme de través", step: "passos dados", path: "O vale visto de cima: com momento (azul) e sem (laranja)", cost: "Altura depois de n passos (escala logarítmica)", steps: "n", with: "com momento", without: "sem momento",
    bound: "converge abaixo de 2(1 + α)/λₘₐₓ =", rate: "fator mais lento por passo, com / sem", height: "altura agora, com", heightWithout: "altura agora, sem",
    formula: "v ← α v − η g,   w ← w + v",
    try: ["Aumente α a partir de 0: onde ele é mais rápido? Dali em diante a bola passa do ponto e volta.",
      "Com α = 0,9 o passo pode ter quase o dobro do tamanho. Experimente: a laranja vai embora, a azul fica.",
      "Deixe o vale mais comprido (100 vezes mais íngreme de través): de quantos passos cada uma precisa?"],
  },
};
