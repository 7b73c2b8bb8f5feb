"""Each network: its size, its form, its stock .keras."""

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from pydantic import ValidationError

from emotion.commands.network_costs import cost
from emotion.foundation.errors import UserError
from emotion.model.batch_norm import FusedBatchNormalization
from emotion.networks import mini_xception, resnet, stacked_cnn, transfer, vgg
from emotion.training.network import build_model, with_probabilities

ROOT = Path(__file__).parents[2]
RESNET = resnet.Network(width=32, stages=4, blocks=2, attention="none", dropout=0.4)
MINI_XCEPTION = mini_xception.Network(width=8, modules=4, dropout=0.0)
VGG = vgg.Network(width=32, blocks=4, convolutions=2, dense_units=256, block_dropout=0.3, dense_dropout=0.4)
STACKED_CNN = stacked_cnn.Network(filters=64, dense_units=256, dropout=0.25)


def transfer_network(**changes: object) -> transfer.Network:
    values = {
        "backbone": "MobileNetV2",
        "resize_px": 48,
        "weights": "none",
        "weights_sha256": "",
        "frozen_epochs": 0,
        "unfreeze": "all",
        "finetune_learning_rate": 0.001,
        "dense_units": 8,
        "dropout": 0.0,
    }
    return transfer.Network.model_validate(values | changes)


def with_attention(kind: str) -> resnet.Network:
    return resnet.Network(width=32, stages=4, blocks=2, attention=kind, dropout=0.4)


@pytest.fixture(autouse=True)
def _forget_models() -> Iterator[None]:
    yield
    keras.utils.clear_session()


@pytest.mark.parametrize(
    ("network", "parameters", "multiply_adds"),
    [
        (VGG, 1_767_207, 118_040_320),
        (STACKED_CNN, 4_478_727, 290_475_520),
        (MINI_XCEPTION, 58_423, 6_332_544),
        (RESNET, 2_801_063, 312_092_416),
        (with_attention("squeeze_excitation"), 2_823_843, 312_114_176),
        (with_attention("cbam"), 2_824_627, 312_735_696),
    ],
)
def test_a_network_costs_what_its_table_says(network: object, parameters: int, multiply_adds: int) -> None:
    assert cost(network, (48, 48, 1), 7) == (parameters, multiply_adds)


def test_a_vgg_with_more_blocks_than_the_face_has_halves_is_refused() -> None:
    with pytest.raises(UserError, match=r"4 blocks halve the side 4 times.* preprocess\.size_px of at least 16"):
        cost(VGG, (15, 15, 1), 7)
    assert cost(VGG, (16, 16, 1), 7).parameters > 0


def test_multiply_adds_of_a_network_counted_by_hand() -> None:
    # 4x4 places: stem 3*3*1*1, two convolutions 3*3*1*1 each, then 1*2 of the last layer.
    tiny = resnet.Network(width=1, stages=1, blocks=1, attention="none", dropout=0.0)
    assert cost(tiny, (4, 4, 1), 2).multiply_adds == 16 * 9 * 3 + 2


@pytest.mark.parametrize("network", [RESNET, with_attention("cbam"), MINI_XCEPTION, transfer_network()])
@pytest.mark.parametrize("shape", [(48, 48, 1), (61, 61, 3)])
def test_a_saved_network_opens_without_this_project(network: object, shape: tuple, tmp_path: Path) -> None:
    model = with_probabilities(build_model(network, shape, 3, for_training=False), 1.5)
    pixels = np.random.default_rng(0).integers(0, 256, (2, *shape)).astype(np.float32)
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "case.npz", pixels=pixels, wanted=np.asarray(model(pixels)))
    reload = (
        "import keras, numpy as np, sys; case = np.load('case.npz'); "
        "model = keras.models.load_model('model.keras'); "
        "assert not any(name.split('.')[0] == 'emotion' for name in sys.modules); "
        "np.testing.assert_allclose(np.asarray(model(case['pixels'])), case['wanted'], atol=1e-6)"
    )
    if shape[2] == 3:  # one process start is enough for one network's two shapes
        assert np.allclose(keras.models.load_model(tmp_path / "model.keras")(pixels), model(pixels), atol=1e-6)
    elif network is RESNET or os.environ.get("SLOW"):
        subprocess.run([sys.executable, "-c", reload], cwd=tmp_path, check=True)
    assert np.allclose(np.asarray(model(pixels)).sum(axis=1), 1)


def test_a_finished_model_computes_in_float32_whatever_precision_trained_it() -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = with_probabilities(build_model(RESNET, (48, 48, 1), 3, for_training=False), 1.5)
    finally:
        keras.config.set_dtype_policy(before)
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}


@pytest.mark.parametrize("name", ["vgg", "stacked_cnn", "resnet", "mini_xception"])
def test_every_layer_is_named_by_the_project(name: str) -> None:
    network = {"vgg": VGG, "stacked_cnn": STACKED_CNN, "resnet": with_attention("cbam"), "mini_xception": MINI_XCEPTION}
    first, second = (build_model(network[name], (48, 48, 1), 3, for_training=False) for _ in range(2))
    assert [layer.name for layer in first.layers] == [layer.name for layer in second.layers]
    generic = {keras.src.utils.naming.to_snake_case(type(layer).__name__) for layer in first.layers}
    numbered = {f"{kind}_{number}" for kind in generic for number in range(99)}
    assert not numbered & {layer.name for layer in first.layers}


@pytest.mark.parametrize("network", [VGG, STACKED_CNN, RESNET, MINI_XCEPTION])
def test_training_and_saving_use_the_same_weights(network: object) -> None:
    training, stock = (build_model(network, (48, 48, 1), 3, for_training=flag) for flag in (True, False))
    assert any(isinstance(layer, FusedBatchNormalization) for layer in training.layers)
    assert [w.shape for w in training.weights] == [w.shape for w in stock.weights]


def test_squeeze_excitation_weighs_whole_channels() -> None:
    model = build_model(with_attention("squeeze_excitation"), (48, 48, 1), 3, for_training=False)
    inner = keras.Model(model.input, [model.get_layer(f"stage1_block1_se_{x}").output for x in ("excite", "weigh")])
    before = keras.Model(model.input, model.get_layer("stage1_block1_conv2_norm").output)
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 48, 48, 1)).astype(np.float32)
    weights, weighed = inner(pixels)
    assert weights.shape == (1, 1, 1, 32)
    np.testing.assert_allclose(weighed, before(pixels) * weights, rtol=1e-5)


def test_cbam_sees_the_mean_and_the_maximum_over_channels() -> None:
    model = build_model(with_attention("cbam"), (48, 48, 1), 3, for_training=False)
    inner = keras.Model(
        model.input, [model.get_layer(f"stage1_block1_cbam_{x}").output for x in ("channel_weigh", "maps")]
    )
    weighed, maps = (np.asarray(x) for x in inner(np.random.default_rng(0).uniform(0, 255, (1, 48, 48, 1))))
    np.testing.assert_allclose(maps[..., 0], weighed.mean(axis=-1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(maps[..., 1], weighed.max(axis=-1), rtol=1e-5)


# Transfer learning


@pytest.mark.parametrize(
    "backbone",
    ["InceptionV3", "ResNet50", "ResNet50V2", "VGG16", "DenseNet121", "MobileNetV2", "NASNetMobile", "Xception"],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_reach_the_backbone_as_its_own_preprocessing_makes_them(backbone: str, channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 9, 9, channels)).astype(np.float32)
    inputs = keras.Input((9, 9, channels))
    ours = keras.Model(inputs, transfer._as_backbone_expects(inputs, transfer.preprocessing(backbone)))(pixels)
    module = importlib.import_module(getattr(keras.applications, backbone).__module__)
    theirs = module.preprocess_input(np.repeat(pixels, 4 - channels, axis=3)[..., :3].copy())
    np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=2e-7)


def test_every_backbone_of_keras_is_offered_and_understood() -> None:
    names = transfer.backbones()
    assert {"InceptionV3", "ResNet50", "EfficientNetV2B0", "ConvNeXtTiny"} <= set(names)
    for name in names:
        assert transfer.preprocessing(name).scale.shape == (3,)


def test_an_unknown_backbone_is_named_with_the_nearest() -> None:
    with pytest.raises(ValidationError, match="did you mean 'InceptionV3'"):
        transfer_network(backbone="InceptionV4")


def test_a_size_that_the_backbone_refuses_is_named() -> None:
    with pytest.raises(UserError, match="resize_px: 48 is too small for InceptionV3"):
        build_model(transfer_network(backbone="InceptionV3"), (48, 48, 1), 3, for_training=False)


@pytest.mark.parametrize("changes", [{"weights": "w.h5"}, {"weights_sha256": "0" * 64}, {"unfreeze": -1}])
def test_parameters_that_do_not_go_together_are_refused(changes: dict) -> None:
    with pytest.raises(ValidationError):
        transfer_network(**changes)


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, np.ndarray]:
    """A weights file of MobileNetV2, its digest, and what its features of a picture are."""
    import hashlib

    keras.utils.set_random_seed(7)
    backbone = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(48, 48, 3))
    path = tmp_path_factory.mktemp("weights") / "backbone.weights.h5"
    backbone.save_weights(path)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 48, 48, 3)).astype(np.float32)
    features = backbone(keras.applications.mobilenet_v2.preprocess_input(pixels.copy()))
    return path, hashlib.sha256(path.read_bytes()).hexdigest(), np.asarray(features).mean(axis=(1, 2))


def test_a_local_weights_file_gives_the_backbone_its_features(weights_file: tuple) -> None:
    path, digest, wanted = weights_file
    network = transfer_network(weights=str(path), weights_sha256=digest)
    model = build_model(network, (48, 48, 3), 3, for_training=False)
    network.load_pretrained(model)
    features = keras.Model(model.input, model.get_layer("transfer_features").output)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 48, 48, 3)).astype(np.float32)
    np.testing.assert_allclose(features(pixels), wanted, rtol=1e-4, atol=1e-6)


def test_another_weights_file_than_the_pinned_one_is_refused(weights_file: tuple) -> None:
    network = transfer_network(weights=str(weights_file[0]), weights_sha256="0" * 64)
    model = build_model(network, (48, 48, 1), 3, for_training=False)
    with pytest.raises(UserError, match="has sha256 .* but model.transfer.weights_sha256 says 0000"):
        network.load_pretrained(model)


def test_weights_that_cannot_be_had_are_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = transfer_network(weights=str(tmp_path / "none.h5"), weights_sha256="0" * 64)
    with pytest.raises(UserError, match="none.h5 is missing"):
        network.load_pretrained(build_model(network, (48, 48, 1), 3, for_training=False))

    def no_network(*_: object, **__: object) -> None:
        raise OSError("URL fetch failure")

    monkeypatch.setattr(keras.src.applications.mobilenet_v2.file_utils, "get_file", no_network)
    network = transfer_network(weights="imagenet")
    with pytest.raises(UserError, match=r"imagenet: cannot be loaded into MobileNetV2 \(URL fetch failure\)"):
        network.load_pretrained(build_model(network, (48, 48, 1), 3, for_training=False))


def test_calling_the_network_is_inference_unless_training_is_said() -> None:
    model = build_model(transfer_network(dropout=0.5), (48, 48, 3), 3, for_training=False)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 3)).astype(np.float32)
    before = model.get_weights()
    np.testing.assert_array_equal(model(pixels), model(pixels, training=False))
    assert all(map(np.array_equal, before, model.get_weights()))
    model(pixels, training=True)
    assert not all(map(np.array_equal, before, model.get_weights()))


def test_the_command_says_nothing_but_the_costs() -> None:
    command = [sys.executable, "-m", "emotion.cli", "networks", "--params", str(ROOT / "results/fer2013/params.yaml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "vgg                1,767,207     118,040,320" in done.stdout
