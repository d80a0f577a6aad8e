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
# # Soluções do notebook 13, GoogLeNet

# %%
from dlkeras.architectures import googlenet
from dlkeras.testing.course import check

network = googlenet(kernel_initializer="zeros")

# %% [markdown]
# **1.** $25\cdot16\cdot32 = 12\,800$ pesos contra $9\cdot16\cdot32 + 9\cdot32\cdot32 =
# 13\,824$: com uma entrada tão estreita quanto 16 mapas, nada se ganha. A partir de 32
# mapas compensa: $25\,600$ contra $18\,432$.

# %%
kernel = network.get_layer("inception_3a").convolutions["5x5"].kernel
assert kernel.shape == (5, 5, 16, 32) and 25 * 16 * 32 == 12_800
for maps in (16, 32):
    print(
        f"{maps} mapas: uma 5x5 {25 * maps * 32:,}, duas 3x3 {9 * 32 * (maps + 32):,}"
    )
assert 9 * 32 * (16 + 32) > 12_800 and 9 * 32 * (32 + 32) < 25 * 32 * 32
assert check("13.1", 9 * 32 * (16 + 32))

# %% [markdown]
# **2.** $7\cdot7\cdot1024\cdot4096 + 4096 = 205\,524\,992$: trinta vezes a rede.

# %%
dense = 7 * 7 * 1024 * 4096 + 4096
print(f"{dense:,}, {dense / network.count_params():.0f} vezes a rede")
assert dense == 205_524_992
assert check("13.2", dense)

# %% [markdown]
# **3.** A fração de 3x3 e 5x5 pouco muda (começa em 63 % e termina em 50 %); o que
# cresce é o número de mapas que elas leem. A razão do artigo para filtros largos mais
# acima: características mais abstratas se espalham mais pela imagem.

# %%
shares = {}
for name in ("inception_3a", "inception_4c", "inception_5b"):
    module = network.get_layer(name)
    maps = [module.filters_1x1, module.filters_3x3, module.filters_5x5,
            module.filters_pool_proj]  # fmt: skip
    shares[name] = [m / sum(maps) for m in maps]
    print(name, " ".join(f"{share:.0%}" for share in shares[name]))
assert sum(shares["inception_3a"][1:3]) > sum(shares["inception_5b"][1:3])
wide = [sum(shares[f"inception_{name}"][1:3]) for name in ("3a", "5b")]
assert check("13.3", wide)
