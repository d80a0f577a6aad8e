// What the page says, in both languages.
export const words = {
  en: {
    title: "A filter that follows a changing system",
    question: "Eight taps are unknown, and half way through they change. The LMS filter sees only the signals and corrects itself by μ e(n) x(n). How large must μ be to follow, and what does a large μ cost?",
    mu: "step size μ", noise: "noise of the measurement", kind: "the system", still: "stays", jump: "jumps", drift: "drifts", sample: "sample n",
    taps: "The system's taps (outlines) and the filter's weights (filled)", error: "How wrong the weights are (dB; lower is better)",
    wrong: "wrong by |w − h|² / |h|², now", safe: "safe below 2/(3 tr R) =", mean: "mean converges below 2/λₘₐₓ =", settled: "at the end",
    tap: "tap", verdict: "this run", fine: "follows", lost: "runs away",
    formula: "w(n+1) = w(n) + μ e(n) x(n)",
    try: ["Halve μ: the filter ends closer to the system, and takes twice as long to notice the jump.",
      "Let the system drift. A small μ lags behind; a large one trembles. Where is the best one?",
      "Go above the safe bound: at 0.15 the error bursts now and then, and above 0.25 every run is lost, although the mean would converge up to 2."],
  },
  pt: {
    title: "Um filtro que acompanha um sistema que muda",
    question: "Oito coeficientes são desconhecidos, e no meio do caminho eles mudam. O filtro LMS só vê os sinais e se corrige por μ e(n) x(n). De que tamanho deve ser μ para acompanhar, e quanto custa um μ grande?",
    mu: "tamanho do passo μ", noise: "ruído da medida", kind: "o sistema", still: "não muda", jump: "salta", drift: "deriva", sample: "amostra n",
    taps: "Os coeficientes do sistema (contornos) e os pesos do filtro (cheios)", error: "O erro dos pesos (dB; menor é melhor)",
    wrong: "erro |w − h|² / |h|² agora", safe: "seguro abaixo de 2/(3 tr R) =", mean: "a média converge abaixo de 2/λₘₐₓ =", settled: "no fim",
    tap: "coeficiente", verdict: "nesta rodada", fine: "acompanha", lost: "diverge",
    formula: "w(n+1) = w(n) + μ e(n) x(n)",
    try: ["Corte μ pela metade: o filtro termina mais perto do sistema, mas leva o dobro do tempo para perceber o salto.",
      "Deixe o sistema derivar. Um μ pequeno fica para trás; um grande treme. Qual é o melhor?",
      "Passe do limite seguro: com 0,15 o erro explode de vez em quando, e acima de 0,25 toda rodada se perde, embora a média convirja até 2."],
  },
};
