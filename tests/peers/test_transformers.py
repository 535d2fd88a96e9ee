"""Models against Hugging Face's transformers: random weights loaded by name, outputs within 1e-4; skipped where it isn't
installed."""

import numpy as np
import pytest

import twain
from twain import models

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def rng():
    seed = np.random.SeedSequence().entropy % 2**32
    print(f"seed {seed}")
    torch.manual_seed(seed)
    return np.random.default_rng(seed)


def shaken(model):
    """The model in eval mode with weights far from their initial values, so that no bias or norm is trivial."""
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.1)
    return model.eval()


def loaded(ours, theirs, strict=True):
    """Ours by the configuration and the weights of theirs; every name is used."""
    model = ours.from_config(theirs.config.to_dict())
    missing, unexpected = model.load_weights({k: v.numpy() for k, v in theirs.state_dict().items()}, strict)
    assert not missing and not unexpected
    return model.eval()


def close(ours, theirs, rtol=1e-4, atol=1e-4):
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=rtol, atol=atol)


def ids_of(rng, *shape):
    ids = rng.integers(3, 30, shape)
    return twain.asarray(ids), torch.tensor(ids)


BERT = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 20, "vocab_size": 30,
    "max_position_embeddings": 12,
}  # fmt: skip
GPT2 = {
    "n_embd": 16,
    "n_layer": 2,
    "n_head": 2,
    "vocab_size": 30,
    "n_positions": 70,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LLAMA = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 20, "vocab_size": 30, "max_position_embeddings": 70,
}  # fmt: skip


def test_bert(rng):
    config = transformers.BertConfig(**BERT, num_labels=3)
    a, b = ids_of(rng, 2, 7)
    mask, kinds = (rng.random((2, 7)) < 0.7).astype(np.int64), rng.integers(0, 2, (2, 7))
    mask[:, 0] = 1
    ours_in = {"attention_mask": twain.asarray(mask), "token_type_ids": twain.asarray(kinds)}
    theirs_in = {"attention_mask": torch.tensor(mask), "token_type_ids": torch.tensor(kinds)}
    theirs = shaken(transformers.BertModel(config))
    ours = loaded(models.BertModel, theirs)
    x, y = ours(a, **ours_in), theirs(b, **theirs_in)
    close(x[0], y.last_hidden_state)
    close(x[1], y.pooler_output)
    for mine, other in (
        (models.BertForMaskedLM, transformers.BertForMaskedLM),
        (models.BertForSequenceClassification, transformers.BertForSequenceClassification),
    ):
        theirs = shaken(other(config))
        close(loaded(mine, theirs)(a, **ours_in), theirs(b, **theirs_in).logits)
    masked = shaken(transformers.BertForMaskedLM(config))
    names = {k: v.numpy() for k, v in masked.state_dict().items()}
    base = models.BertModel(models.BertConfig(**BERT), add_pooling_layer=False).eval()
    base.load_weights(names)
    close(base(a)[0], masked.bert(b).last_hidden_state)


@pytest.mark.parametrize("name", ["gpt2", "llama", "llama tied and biased", "llama3 positions"])
def test_causal_models(name, rng):
    if name == "gpt2":
        theirs, ours = transformers.GPT2LMHeadModel(transformers.GPT2Config(**GPT2)), models.GPT2LMHeadModel
        base = models.GPT2Model
    else:
        more = {}
        if "tied" in name:
            more = {"tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True, "head_dim": 6}
        if "llama3" in name:
            more["rope_parameters"] = {
                "rope_type": "llama3", "rope_theta": 10000.0, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                "original_max_position_embeddings": 16,
            }  # fmt: skip
        theirs = transformers.LlamaForCausalLM(transformers.LlamaConfig(**LLAMA, **more))
        ours, base = models.LlamaForCausalLM, models.LlamaModel
    theirs = shaken(theirs)
    model = loaded(ours, theirs)
    a, b = ids_of(rng, 2, 9)
    close(model(a), theirs(b).logits)
    mask = np.ones((2, 9), np.int64)
    mask[0, 6:] = 0
    x, y = model(a, attention_mask=twain.asarray(mask)), theirs(b, attention_mask=torch.tensor(mask)).logits
    close(x[1], y[1])
    close(x[0, :6], y[0, :6])
    inner = base.from_config(theirs.config.to_dict())
    inner.load_weights({k: v.numpy() for k, v in theirs.state_dict().items()})
    close(inner.eval()(a), theirs.base_model(b).last_hidden_state)
    for p, q in zip(model.parameters(), theirs.parameters()):
        assert tuple(p.shape) == tuple(q.shape)
    wanted = theirs.generate(b, max_new_tokens=12, do_sample=False, eos_token_id=None, pad_token_id=0).numpy()
    for compiled in (True, False):
        got = model.generate(a, max_new_tokens=12, compile=compiled).numpy()
        np.testing.assert_array_equal(got, wanted)


def test_gradients_of_a_causal_model(rng):
    theirs = shaken(transformers.LlamaForCausalLM(transformers.LlamaConfig(**LLAMA)))
    model = loaded(models.LlamaForCausalLM, theirs)
    a, b = ids_of(rng, 2, 6)
    twain.nn.functional.cross_entropy(model(a)[:, :-1].reshape((-1, 30)), a[:, 1:].reshape((-1,))).backward()
    torch.nn.functional.cross_entropy(theirs(b).logits[:, :-1].reshape(-1, 30), b[:, 1:].reshape(-1)).backward()
    known = dict(theirs.named_parameters())
    for name, p in model.named_parameters():
        close(p.grad, known[name].grad)


def test_whisper_encoder(rng):
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    config = transformers.WhisperConfig(
        d_model=16, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=20, num_mel_bins=8,
        max_source_positions=10, attn_implementation="eager",
    )  # fmt: skip
    theirs = shaken(WhisperEncoder(config))
    features = rng.standard_normal((2, 8, 20)).astype(np.float32)
    close(loaded(models.WhisperEncoder, theirs)(twain.asarray(features)), theirs(torch.tensor(features))[0])
    fresh = models.WhisperEncoder.from_config(config.to_dict())
    close(fresh.embed_positions.weight, WhisperEncoder(config).embed_positions.weight, atol=1e-5)
