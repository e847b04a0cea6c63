"""Small networks with random weights, saved as the hub's folders are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SMALL = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 32, "intermediate_size": 48}


def save_video_network(folder: Path, kind: str, transformers: Any, side_px: int = 32) -> torch.nn.Module:
    """Save a network of transformers for clips of 4 frames; returns it in eval mode."""
    torch.manual_seed(0)
    sizes = {"image_size": side_px, "num_frames": 4}
    if kind == "videomae":
        model = transformers.VideoMAEModel(transformers.VideoMAEConfig(**sizes, **SMALL))
    elif kind == "vivit":
        model = transformers.VivitModel(transformers.VivitConfig(**sizes, **SMALL), add_pooling_layer=False)
    elif kind == "timesformer":
        model = transformers.TimesformerModel(transformers.TimesformerConfig(**sizes, **SMALL))
    else:
        predictor = {
            f"pred_{name}": 2 for name in ("num_attention_heads", "num_hidden_layers", "num_mask_tokens")
        }
        model = transformers.VJEPA2Model(
            transformers.VJEPA2Config(
                crop_size=side_px,
                frames_per_clip=4,
                pred_hidden_size=24,
                **predictor,
                **SMALL | {"hidden_size": 48},
            )
        )
    model.eval().save_pretrained(folder)
    save_preprocessing(folder)
    return model


def save_preprocessing(folder: Path, **further: Any) -> None:
    """Write what becomes of pixels."""
    told = {"image_mean": list(MEAN), "image_std": list(STD), **further}
    (folder / "preprocessor_config.json").write_text(json.dumps(told))


def save_image_network(folder: Path, timm: Any) -> torch.nn.Module:
    """Save an image network of timm; returns it in eval mode, without its head."""
    from safetensors.torch import save_file

    torch.manual_seed(0)
    folder.mkdir(parents=True)
    model = timm.create_model("test_resnet", num_classes=5).eval()
    save_file(model.state_dict(), str(folder / "model.safetensors"))
    told = {
        "architecture": "test_resnet",
        "num_classes": 5,
        "pretrained_cfg": {
            "input_size": [3, 32, 32],
            "mean": MEAN,
            "std": STD,
            "num_classes": 5,
            "classifier": "fc",
        },
    }
    (folder / "config.json").write_text(json.dumps(told))
    model.reset_classifier(0)
    return model
