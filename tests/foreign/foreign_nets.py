"""Small networks as other people write them: their modules, their names, their forward passes. None of it is miii's."""

import math

import torch
from torch import nn

P, D, H, M = 7, 8, 2, 12
ACTS = {
    "relu": torch.relu,
    "gelu": nn.functional.gelu,
    "square": torch.square,
    "tanh": torch.tanh,
    "gelu-tanh": lambda x: nn.functional.gelu(x, approximate="tanh"),
    "silu": nn.functional.silu,
    "identity": lambda x: x,
}


def prompts(equals=True, separate=False, p=P, operator=False):
    """All pairs a, b as tokens, in the order a * p + b."""
    a, b = torch.arange(p).repeat_interleave(p), torch.arange(p).repeat(p)
    both = [a, b + p * separate, torch.full_like(a, p * (1 + separate))]
    assert not operator
    return torch.stack(both[: 2 + equals], 1)


def randomized(net, seed=0):
    """The network with random weights, biases and gains in float64."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in net.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) / 2)
    return net.double().eval().requires_grad_(False)


def parameters(**shapes):
    return nn.ParameterDict({name: nn.Parameter(torch.empty(shape)) for name, shape in shapes.items()})


def masked(scores, causal):
    n = scores.shape[-1]
    return scores.masked_fill(~torch.ones(n, n).tril().bool(), -torch.inf) if causal else scores


class Lens(nn.Module):
    """A HookedTransformer of TransformerLens 1 to 3."""

    def __init__(self, n_layers=1, norms=None, act="relu", causal=True, heads=H, d_head=D // H, mlp=True):
        super().__init__()
        self.embed, self.pos_embed = parameters(W_E=(P + 1, D)), parameters(W_pos=(3, D))
        self.unembed = parameters(W_U=(D, P), b_U=(P,))
        qkv = {f"W_{x}": (heads, D, d_head) for x in "QKV"} | {f"b_{x}": (heads, d_head) for x in "QKV"}
        self.blocks = nn.ModuleList()
        for _ in range(n_layers):
            block = nn.Module()
            block.attn = parameters(**qkv, W_O=(heads, d_head, D), b_O=(D,))
            if mlp:
                block.mlp = parameters(W_in=(D, M), b_in=(M,), W_out=(M, D), b_out=(D,))
            gains = {"LN": {"w": (D,), "b": (D,)}, "RMS": {"w": (D,)}}.get(norms)
            if gains:
                block.ln1, block.ln2 = parameters(**gains), parameters(**gains) if mlp else None
                self.ln_final = parameters(**gains)
            self.blocks.append(block)
        self.norms, self.act, self.causal = norms, ACTS[act], causal

    def norm(self, x, home, name):
        if self.norms is None:
            return x
        x = x if "RMS" in self.norms else x - x.mean(-1, keepdim=True)
        x = x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        if "Pre" in self.norms:
            return x
        return x * getattr(home, name).w + (getattr(home, name).b if self.norms == "LN" else 0)

    def forward(self, tokens):
        x = self.embed.W_E[tokens] + self.pos_embed.W_pos
        for block in self.blocks:
            a, heard = block.attn, self.norm(x, block, "ln1")
            q, k, v = (torch.einsum("bpm,hmd->bhpd", heard, a[f"W_{c}"]) + a[f"b_{c}"][:, None] for c in "QKV")
            z = masked(q @ k.mT / math.sqrt(q.shape[-1]), self.causal).softmax(-1) @ v
            x = x + torch.einsum("bhpd,hdm->bpm", z, a.W_O) + a.b_O
            if not hasattr(block, "mlp"):
                continue
            m = block.mlp
            x = x + self.act(self.norm(x, block, "ln2") @ m.W_in + m.b_in) @ m.W_out + m.b_out
        return (self.norm(x, self, "ln_final") @ self.unembed.W_U + self.unembed.b_U)[:, -1]


class Notebook(nn.Module):
    """The class of the progress-measures notebook; with ``coeff``, of the clock and the pizza: nothing is masked."""

    def __init__(self, n_layers=1, equals=True, separate=False, act="relu", coeff=None):
        super().__init__()
        vocabulary, n = P * (1 + separate) + equals, 2 + equals
        self.embed, self.pos_embed = parameters(W_E=(D, vocabulary)), parameters(W_pos=(n, D))
        self.unembed = parameters(W_U=(D, vocabulary))
        self.blocks = nn.ModuleList()
        for _ in range(n_layers):
            block = nn.Module()
            block.attn = nn.Module()
            for x in "KQV":
                setattr(block.attn, f"W_{x}", nn.Parameter(torch.empty(H, D // H, D)))
            block.attn.W_O = nn.Parameter(torch.empty(D, D))
            block.attn.register_buffer("mask", torch.ones(n, n).tril())
            block.mlp = parameters(W_in=(M, D), b_in=(M,), W_out=(D, M), b_out=(D,))
            self.blocks.append(block)
        self.act, self.coeff = ACTS[act], coeff

    def forward(self, tokens):
        x = torch.einsum("dbp->bpd", self.embed.W_E[:, tokens]) + self.pos_embed.W_pos
        for block in self.blocks:
            k, q, v = (torch.einsum("ihd,bpd->biph", getattr(block.attn, f"W_{c}"), x) for c in "KQV")
            scores = torch.einsum("biph,biqh->biqp", k, q) / math.sqrt(D // H)
            share = 1 if self.coeff is None else self.coeff
            pattern = masked(scores, self.coeff is None).softmax(-1) * share + (1 - share)
            z = torch.einsum("biph,biqp->biqh", v, pattern)
            x = x + torch.einsum("df,bqf->bqd", block.attn.W_O, z.permute(0, 2, 1, 3).flatten(2))
            m = block.mlp
            post = self.act(torch.einsum("md,bpd->bpm", m.W_in, x) + m.b_in)
            x = x + torch.einsum("dm,bpm->bpd", m.W_out, post) + m.b_out
        return (x @ self.unembed.W_U)[:, -1]


class TorchBlock(nn.Module):
    def __init__(self, norm=nn.LayerNorm):
        super().__init__()
        self.attn = nn.MultiheadAttention(D, H, batch_first=True)
        self.mlp = nn.Module()
        self.mlp.net = nn.Sequential(nn.Linear(D, M), nn.GELU(), nn.Linear(M, D))
        self.ln1, self.ln2 = norm(D), norm(D)

    def forward(self, x):
        heard = self.ln1(x)
        x = x + self.attn(heard, heard, heard, need_weights=False)[0]
        return x + self.mlp.net(self.ln2(x))


class AttentionBlock(nn.Module):
    """Attention alone, whose sum is normalized."""

    def __init__(self, norm):
        super().__init__()
        self.attn, self.norm = nn.MultiheadAttention(D, H, batch_first=True), norm(D)

    def forward(self, x):
        return self.norm(x + self.attn(x, x, x, need_weights=False)[0])


class Torch(nn.Module):
    """torch's MultiheadAttention and norms, before each part; or blocks of another kind, without a last norm."""

    def __init__(self, n_layers=1, norm=nn.LayerNorm, block=TorchBlock, pooled=False):
        super().__init__()
        self.tok_emb, self.pos_emb = nn.Embedding(P + 1, D), nn.Embedding(3, D)
        self.blocks = nn.ModuleList(block(norm) for _ in range(n_layers))
        self.ln_f = norm(D) if block is TorchBlock else nn.Identity()
        self.head, self.scale, self.pooled = nn.Linear(D, P, bias=False), 1.0, pooled

    def final(self, tokens):
        x = self.scale * self.tok_emb(tokens) + self.pos_emb.weight
        for block in self.blocks:
            x = block(x)
        x = self.ln_f(x)
        return x.mean(1) if self.pooled else x[:, -1]

    def forward(self, tokens):
        return self.head(self.final(tokens))


class Encoder(nn.Module):
    """torch's own TransformerEncoder, with norms after each sum, as by default; none of them is last."""

    def __init__(self, n_layers=2, first=False, last=False):
        super().__init__()
        self.embedding, self.position = nn.Embedding(P + 1, D), nn.Parameter(torch.empty(1, 3, D))
        layer = nn.TransformerEncoderLayer(D, H, M, 0.0, "relu", batch_first=True, norm_first=first)
        norm = nn.LayerNorm(D) if last else None
        self.transformer = nn.TransformerEncoder(layer, n_layers, norm, enable_nested_tensor=False)
        self.fc_out = nn.Linear(D, P)

    def state_dict(self, **others):
        state = super().state_dict(**others)
        return {name.replace("position", "pos_embedding"): value for name, value in state.items()}

    def forward(self, tokens):
        return self.fc_out(self.transformer(self.embedding(tokens) + self.position))[:, -1]


class GPT(nn.Module):
    """nanoGPT, or Hugging Face's GPT-2, whose Conv1D is a transposed linear map."""

    def __init__(self, n_layers=2, act="gelu", conv1d=False, bias=True):
        super().__init__()
        t = self.transformer = nn.Module()
        t.wte, t.wpe, t.h, t.ln_f = (
            nn.Embedding(P + 1, D),
            nn.Embedding(5, D),
            nn.ModuleList(),
            nn.LayerNorm(D, bias=bias),
        )
        for _ in range(n_layers):
            block = nn.Module()
            block.ln_1, block.ln_2 = nn.LayerNorm(D, bias=bias), nn.LayerNorm(D, bias=bias)
            block.attn, block.mlp = nn.Module(), nn.Module()
            block.attn.c_attn, block.attn.c_proj = nn.Linear(D, 3 * D, bias), nn.Linear(D, D, bias)
            block.mlp.c_fc, block.mlp.c_proj = nn.Linear(D, M, bias), nn.Linear(M, D, bias)
            t.h.append(block)
        self.lm_head = nn.Linear(D, P + 1, bias=False)
        self.act, self.conv1d = ACTS[act], conv1d

    def state_dict(self, **others):
        state = super().state_dict(**others)
        mapped = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
        return {name: value.T if self.conv1d and name.endswith(mapped) else value for name, value in state.items()}

    def forward(self, tokens):
        t = self.transformer
        x = t.wte(tokens) + t.wpe.weight[: tokens.shape[1]]
        for block in t.h:
            q, k, v = block.attn.c_attn(block.ln_1(x)).unflatten(-1, (3, H, D // H)).permute(2, 0, 3, 1, 4)
            z = masked(q @ k.mT / math.sqrt(D // H), True).softmax(-1) @ v
            x = x + block.attn.c_proj(z.transpose(1, 2).flatten(2))
            x = x + block.mlp.c_proj(self.act(block.mlp.c_fc(block.ln_2(x))))
        return self.lm_head(t.ln_f(x))[:, -1]


class Lens4(nn.Module):
    """A bridge of TransformerLens 4: modules with weights [out, in]."""

    def __init__(self, act="gelu"):
        super().__init__()
        self.embed, self.pos_embed, self.unembed = nn.Embedding(P + 1, D), nn.Embedding(3, D), nn.Linear(D, P)
        block = nn.Module()
        block.attn = nn.ModuleDict({name: nn.Linear(D, D) for name in "qkvo"})
        block.mlp = nn.ModuleDict({"in": nn.Linear(D, M), "out": nn.Linear(M, D)})
        self.blocks, self.act = nn.ModuleList([block]), ACTS[act]

    def forward(self, tokens):
        x, (block,) = self.embed(tokens) + self.pos_embed.weight, self.blocks
        q, k, v = (block.attn[c](x).unflatten(-1, (H, D // H)).transpose(1, 2) for c in "qkv")
        z = masked(q @ k.mT / math.sqrt(D // H), True).softmax(-1) @ v
        x = x + block.attn["o"](z.transpose(1, 2).flatten(2))
        x = x + block.mlp["out"](self.act(block.mlp["in"](x)))
        return self.unembed(x)[:, -1]


class Dense(nn.Module):
    """Embeddings, one or separate, added or side by side; linear maps; an unembedding that comes first in the file."""

    def __init__(self, added=True, separate=False, deep=False, act="relu", each=False):
        super().__init__()
        if separate:
            self.embed1, self.embed2 = nn.Embedding(P, D), nn.Embedding(P, D)
        else:
            self.embed = nn.Embedding(P, D)
        self.unembed = nn.Embedding(P, M)
        self.l1 = nn.Linear(D if added else 2 * D, M)
        self.l2 = nn.Linear(M, M) if deep else None
        self.added, self.separate, self.act, self.each = added, separate, ACTS[act], each

    def forward(self, tokens):
        a, b = tokens.T
        x, y = (self.embed1(a), self.embed2(b)) if self.separate else (self.embed(a), self.embed(b))
        if self.each:
            h = self.act(self.l1(x) + self.l1(y))
        else:
            h = self.act(self.l1(x + y if self.added else torch.cat([x, y], 1)))
        return (h if self.l2 is None else self.act(self.l2(h))) @ self.unembed.weight.T


class Tables(nn.Module):
    """relu([W_x[a], W_y[b]] W) W_U."""

    def __init__(self):
        super().__init__()
        for name, shape in (("W_x", (P, D)), ("W_y", (P, D)), ("W", (2 * D, M)), ("W_U", (M, P))):
            setattr(self, name, nn.Parameter(torch.empty(shape)))

    def forward(self, tokens):
        a, b = tokens.T
        return torch.relu(torch.cat([self.W_x[a], self.W_y[b]], 1) @ self.W) @ self.W_U


class OneHot(nn.Module):
    """W_out (W_in (one-hot a + one-hot b))^2; side by side with ``added`` False."""

    def __init__(self, added=True):
        super().__init__()
        self.mlp = parameters(W_in=(M, P if added else 2 * P), W_out=(P, M))
        self.added = added

    def forward(self, tokens):
        x = nn.functional.one_hot(tokens, P).double()
        x = x.sum(1) if self.added else x.flatten(1)
        return (x @ self.mlp.W_in.T).square() @ self.mlp.W_out.T


class Linearformer(nn.Module):
    """Embeddings side by side through square maps, all transposed."""

    def __init__(self, n_layers=2, act="gelu"):
        super().__init__()
        self.embed, self.unembed = parameters(W_E=(D, P)), parameters(W_U=(2 * D, P))
        self.blocks = nn.ModuleList(parameters(W_in=(2 * D, 2 * D), b_in=(2 * D,)) for _ in range(n_layers))
        self.act = ACTS[act]

    def forward(self, tokens):
        x = torch.einsum("dbp->bpd", self.embed.W_E[:, tokens]).flatten(1)
        for block in self.blocks:
            x = self.act(torch.einsum("md,bd->bm", block.W_in, x) + block.b_in)
        return x @ self.unembed.W_U
