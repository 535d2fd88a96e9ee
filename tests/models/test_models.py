"""The reference models: names, training, generating, loading, mistakes. Values: tests/peers/test_transformers.py."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest

import twain
from twain import models, nn, optim
from twain.io import save_file

NAMES = Path(__file__).parent / "names"
BERT = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 20, "vocab_size": 30,
    "max_position_embeddings": 12,
}  # fmt: skip
GPT2 = {"n_embd": 16, "n_layer": 2, "n_head": 2, "vocab_size": 30, "n_positions": 70}
LLAMA = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 20, "vocab_size": 30, "max_position_embeddings": 70,
}  # fmt: skip
WHISPER = {
    "d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 20, "num_mel_bins": 8,
    "max_source_positions": 10,
}  # fmt: skip
TRANSLATION = {
    "source_vocab_size": 20, "target_vocab_size": 20, "d_model": 16, "nhead": 2, "num_encoder_layers": 1,
    "num_decoder_layers": 1, "dim_feedforward": 24, "dropout": 0.0, "max_length": 12,
}  # fmt: skip
LSTM = {"vocab_size": 20, "embedding_size": 8, "hidden_size": 12, "dropout": 0.0}
VIT = {
    "image_size": 16,
    "patch_size": 8,
    "num_layers": 1,
    "num_heads": 2,
    "hidden_dim": 16,
    "mlp_dim": 20,
    "num_classes": 3,
}

MAKERS = {
    "resnet18": models.resnet18, "resnet34": models.resnet34, "resnet50": models.resnet50,
    "mobilenet_v2": models.mobilenet_v2, "vit_b_16": models.vit_b_16,
    "BertModel": lambda: models.BertModel.from_config(BERT),
    "BertForMaskedLM": lambda: models.BertForMaskedLM.from_config(BERT),
    "BertForSequenceClassification": lambda: models.BertForSequenceClassification.from_config(BERT),
    "GPT2LMHeadModel": lambda: models.GPT2LMHeadModel.from_config(GPT2),
    "LlamaForCausalLM": lambda: models.LlamaForCausalLM.from_config(LLAMA),
    "WhisperEncoder": lambda: models.WhisperEncoder.from_config(WHISPER),
}  # fmt: skip


@pytest.mark.parametrize("name", MAKERS)
def test_names_and_shapes_are_the_published_ones(name):
    lines = (NAMES / f"{name}.txt").read_text().splitlines()
    published = {key: ast.literal_eval(shape) for key, _, shape in (x.partition(" ") for x in lines[1:])}
    ours = {key: tuple(v.shape) for key, v in MAKERS[name]().state_dict().items()}
    assert lines[0].startswith("#") and ours == published


def tokens(*shape, low=3, high=20):
    return twain.asarray(np.random.default_rng().integers(low, high, shape))


def next_token_loss(logits, ids):
    return nn.functional.cross_entropy(logits[:, :-1].reshape((-1, logits.shape[-1])), ids[:, 1:].reshape((-1,)))


def trained(model, loss, *inputs, steps=5, rate=3e-3):
    """The loss before and after some compiled steps."""
    optimizer = optim.Adam(model.parameters(), lr=rate)

    @twain.compile
    def step(*inputs):
        optimizer.zero_grad()
        value = loss(model, *inputs)
        value.backward()
        optimizer.step()
        optimizer.zero_grad()
        return value

    losses = [float(step(*inputs)) for _ in range(steps)]
    assert len(step.plans) == 1
    return losses[0], losses[-1]


@pytest.mark.parametrize(
    "make",
    [
        lambda: models.GPT2LMHeadModel.from_config(GPT2, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0),
        lambda: models.LlamaForCausalLM.from_config(LLAMA),
        lambda: models.LSTMLanguageModel.from_config(LSTM),
        lambda: models.LSTMLanguageModel.from_config({**LSTM, "hidden_size": 8, "tie_weights": True}),
    ],
)
def test_language_models_train_compiled(make):
    def loss(model, ids):
        logits = model(ids)
        return next_token_loss(logits[0] if isinstance(logits, tuple) else logits, ids)

    before, after = trained(make(), loss, tokens(4, 8))
    assert after < before


def test_models_of_images_train_compiled():
    x, y = twain.random.normal((4, 3, 16, 16)), twain.asarray([0, 1, 2, 0])
    classify = lambda model, x, y: nn.functional.cross_entropy(model(x), y)
    for model in (
        models.ResNet(models.ResNetConfig((1,), False, 3)),
        models.VisionTransformer.from_config(VIT),
    ):
        before, after = trained(model, classify, x, y)
        assert after < before


def test_unet_gives_a_value_per_pixel():
    model = models.UNet(models.UNetConfig(2, 3, (4, 8)))
    assert model(twain.ones((1, 2, 6, 8))).shape == (1, 3, 6, 8)
    target = twain.zeros((1, 3, 6, 8))
    loss = lambda model, x: ((model(x) - target) ** 2).mean()
    before, after = trained(model, loss, twain.random.normal((1, 2, 6, 8)))
    assert after < before
    with pytest.raises(ValueError, match="multiples of 2, got"):
        model(twain.ones((1, 2, 7, 8)))


@pytest.mark.parametrize("kind", ["GPT2LMHeadModel", "LlamaForCausalLM"])
def test_generating_with_a_memory_is_generating_without(kind):
    model = MAKERS[kind]().eval()
    with twain.no_grad():
        for p in model.parameters():
            p.assign(p + twain.random.normal(p.shape) * 0.2)
    ids = tokens(2, 3)
    wanted = ids
    for _ in range(6):
        wanted = twain.concat([wanted, model(wanted)[:, -1].argmax(-1).reshape((2, 1))], axis=1)
    for compiled in (True, False):
        got = model.generate(ids, 6, compile=compiled)
        np.testing.assert_array_equal(got.numpy(), wanted.numpy())
    likeliest = model.generate(ids, 6, do_sample=True, top_k=1)
    np.testing.assert_array_equal(likeliest.numpy(), wanted.numpy())
    drawn = [
        model.generate(ids, 6, do_sample=True, temperature=2.0, top_p=0.9, generator=twain.random.Generator(5)).numpy()
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*drawn)
    stop = int(wanted[0, 3])
    ended = model.generate(ids[:1], 6, eos_token_id=stop)
    assert ended.shape == (1, 4) and int(ended[0, -1]) == stop
    for wrong, words in (
        (lambda: model.generate(ids, 100), "at most 70 positions"),
        (lambda: model.generate(ids[0]), r"ids \(B, L\)"),
        (lambda: model.generate(ids, top_p=1.5), "top_p in"),
    ):
        with pytest.raises(ValueError, match=words):
            wrong()


def test_the_nucleus_is_the_smallest_set_that_reaches_top_p():
    from twain.models.pretrained import choose

    logits = twain.log(twain.asarray([[0.5, 0.05, 0.3, 0.15]]))
    many = twain.broadcast_to(logits, (400, 4))
    assert set(choose(many, True, top_p=0.7).tolist()) == {0, 2}
    assert set(choose(many, True, top_p=0.81).tolist()) == {0, 2, 3}
    assert set(choose(many, True, top_k=1).tolist()) == {0}


def test_recurrent_language_model_goes_on_from_its_state():
    model = models.LSTMLanguageModel.from_config(LSTM).eval()
    ids = tokens(2, 6)
    whole, _ = model(ids)
    first, state = model(ids[:, :4])
    second, _ = model(ids[:, 4:], state)
    np.testing.assert_allclose(
        twain.concat([first, second], axis=1).detach().numpy(), whole.detach().numpy(), atol=1e-6
    )
    assert model.generate(ids, 5).shape == (2, 11)


def test_translation_learns_to_copy_and_generates():
    model = models.TranslationModel.from_config(TRANSLATION)
    source = tokens(8, 4, low=3, high=6)
    ends = twain.full((8, 1), 2, dtype="int64")
    target = twain.concat([twain.full((8, 1), 1, dtype="int64"), source, ends], axis=1)

    def loss(model, source, target):
        return next_token_loss(model(source, target), target)

    before, after = trained(model, loss, source, target, steps=120, rate=1e-2)
    assert after < 0.5 * before
    got = model.generate(source, 8)
    assert float((got[:, :6] == target[:, : got.shape[1]]).astype("float32").mean()) > 0.6
    padded = twain.concat([source, twain.zeros((8, 2), dtype="int64")], axis=1)
    np.testing.assert_allclose(
        model(padded, target).detach().numpy(), model(source, target).detach().numpy(), rtol=1e-3, atol=1e-4
    )


def test_weights_are_found_with_and_without_prefix(tmp_path):
    whole = MAKERS["GPT2LMHeadModel"]()
    state = whole.state_dict()
    base = models.GPT2Model.from_config(GPT2)
    base.load_weights(state)
    np.testing.assert_array_equal(base.wte.weight.detach().numpy(), whole.transformer.wte.weight.detach().numpy())
    again = MAKERS["GPT2LMHeadModel"]()
    again.load_weights(base.state_dict())  # the head is the embedding
    np.testing.assert_array_equal(again.lm_head.weight.detach().numpy(), whole.lm_head.weight.detach().numpy())
    save_file({k: v for k, v in state.items() if k != "lm_head.weight"}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({**GPT2, "model_type": "gpt2"}))
    other = models.GPT2LMHeadModel.from_folder(tmp_path).eval()
    ids = tokens(1, 5)
    np.testing.assert_array_equal(other(ids).detach().numpy(), whole.eval()(ids).detach().numpy())


def test_mistakes_are_named(tmp_path):
    model = MAKERS["LlamaForCausalLM"]()
    state = model.state_dict()
    state["surplus"] = state.pop("model.norm.weight")
    with pytest.raises(ValueError, match=r"(?s)missing: model.norm.weight.*unexpected: surplus"):
        model.load_weights(state)
    assert model.load_weights(state, strict=False) == (["model.norm.weight"], ["surplus"])
    with pytest.raises(ValueError, match=r"expected settings among .*got \['layers'\]"):
        models.LlamaForCausalLM.from_config(LLAMA, layers=3)
    with pytest.raises(FileNotFoundError, match=r"expected a folder with config\.json"):
        models.LlamaForCausalLM.from_folder(tmp_path)
    with pytest.raises(ValueError, match="expected rope_type"):
        models.LlamaModel.from_config(LLAMA, rope_scaling={"rope_type": "yarn", "factor": 2.0})
    with pytest.raises(ValueError, match="expected an activation among"):
        models.BertModel.from_config(BERT, hidden_act="cos")
    with pytest.raises(ValueError, match=r"images \(N, 3, 16, 16\), got \(1, 3, 8, 8\)"):
        models.VisionTransformer.from_config(VIT)(twain.ones((1, 3, 8, 8)))


def test_fine_tuning_takes_five_lines():
    published = models.ResNet(models.ResNetConfig((1,), False, 5)).state_dict()

    model = models.ResNet(models.ResNetConfig((1,), False, 5))
    model.load_weights(published)
    model.requires_grad_(False)
    model.fc = nn.Linear(model.fc.in_features, 2)
    optimizer = optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.01)

    before = {k: v.numpy() for k, v in model.state_dict().items()}
    model.eval()
    x, y = twain.random.normal((4, 3, 16, 16)), twain.asarray([0, 1, 0, 1])
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    assert losses[-1] < losses[0]
    changed = {k for k, v in model.state_dict().items() if not np.array_equal(v.numpy(), before[k])}
    assert changed == {"fc.weight", "fc.bias"}
