# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Soluções do notebook 12, AlexNet

# %%
import numpy as np

from dlkeras.architectures import alexnet
from dlkeras.testing.course import check

# %% [markdown]
# **1.** $13\cdot13\cdot256\cdot4096 + 4096 = 177\,213\,440$, três vezes a rede inteira
# do artigo. Com um quarto da largura, $13\cdot13\cdot64\cdot1024 + 1024$.

# %%
assert 13 * 13 * 256 * 4096 + 4096 == 177_213_440
model = alexnet(
    version="table",
    pool_after_c7=False,
    kernel_initializer="zeros",
    width_multiplier=0.25,
)
found = model.get_layer("F8").count_params()
print(f"F8 com um quarto da largura: {found:,}")
assert found == 13 * 13 * 64 * 1024 + 1024
assert check("12.1", found)

# %% [markdown]
# **2.** 55 vira 27, 13 e 6 com ambos: os tamanhos são os mesmos, e nada se poupa. A
# sobreposição aqui é de graça; Krizhevsky mediu com ela de 0,3 a 0,4 ponto a menos de
# erro.

# %%
for f in (3, 2):
    size, sizes = 55, []
    for _ in range(3):
        size = (size - f) // 2 + 1
        sizes.append(size)
    print(f"{f}x{f}: {sizes}")
    assert sizes == [27, 13, 6]
assert check("12.2", sizes)

# %% [markdown]
# **3.** O neurônio $i$ vê os pixels $4i$ a $4i+10$. Um pixel no meio está em dois ou
# três desses campos ao longo de cada eixo, portanto em 4 a 9; os quatro primeiros e os
# quatro últimos estão em um só.

# %%
seen = np.zeros(227, int)
for i in range(55):
    seen[4 * i : 4 * i + 11] += 1
print("campos ao longo de um eixo:", seen[:12], "...", seen[-12:])
assert set(seen[8:-8]) == {2, 3} and (seen[:4] == 1).all() and (seen[-4:] == 1).all()
assert check("12.3", np.sum(seen == 1))
