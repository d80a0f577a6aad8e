// What the page says, in both languages.
export const words = {
  en: {
    title: "How much of the image does one neuron see?",
    question: "A neuron of the first layer sees a window as large as its kernel. One of the second sees a window of windows. Go up layer by layer, and see when a neuron knows the whole digit.",
    network: "network", small: "3 × 3, again and again", lenet: "LeNet-5", vgg: "like VGG", resnet: "like ResNet", layers: "up to layer", place: "which neuron",
    pyramid: "One row of each layer, the image at the bottom; orange is what the chosen neuron sees", square: "The field on the image, 64 × 64", image: "image",
    field: "receptive field", jump: "neighbours see fields apart by", share: "of the image", weights: "weights on the way, one map a layer", kernel: "kernel", stride: "stride", pixel: "pixel", pixels: "pixels",
    formula: "r ← r + (k − 1) j,  j ← j s",
    try: ["Two 3 × 3 layers see 5 × 5, with 18 weights in place of 25. And three?",
      "Compare layer 4 of \"3 × 3\" with layer 4 of \"like VGG\": one stride of 2 doubles what every later layer adds.",
      "LeNet-5: at which layer does the field first cover all of a 32 × 32 image?"],
  },
  pt: {
    title: "Quanto da imagem um neurônio vê?",
    question: "Um neurônio da primeira camada vê uma janela do tamanho do filtro. Um da segunda vê uma janela de janelas. Suba camada por camada e descubra quando um neurônio conhece o dígito inteiro.",
    network: "rede", small: "3 × 3, várias vezes", lenet: "LeNet-5", vgg: "como a VGG", resnet: "como a ResNet", layers: "até a camada", place: "qual neurônio",
    pyramid: "Uma linha de cada camada, a imagem embaixo; em laranja, o que o neurônio escolhido vê", square: "O campo na imagem, 64 × 64", image: "imagem",
    field: "campo receptivo", jump: "campos vizinhos ficam a", share: "da imagem", weights: "pesos no caminho, um mapa por camada", kernel: "filtro", stride: "passo", pixel: "pixel", pixels: "pixels",
    formula: "r ← r + (k − 1) j,  j ← j s",
    try: ["Duas camadas 3 × 3 veem 5 × 5, com 18 pesos em vez de 25. E três?",
      "Compare a camada 4 de \"3 × 3\" com a camada 4 de \"como a VGG\": um passo 2 dobra o que cada camada seguinte acrescenta.",
      "LeNet-5: em que camada o campo cobre pela primeira vez uma imagem inteira de 32 × 32?"],
  },
};
