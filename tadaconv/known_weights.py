"""Released weights that these networks can load: facts, not code. ``load_weights`` reads the files.

This package downloads none by itself (``tadaloc models fetch`` does), and their checksums are not
published except in part of a file name. The licences are those of the files; the images and videos
behind them have terms of their own. Mean and deviation of the pixels are the network's
(``tadaconv.inputs``).
"""

from __future__ import annotations

from dataclasses import dataclass

from tadaconv.heads import NumClasses

_DRIVE = "https://drive.google.com/file/d/{}/view"
_EK100 = {"verb": 97, "noun": 300}
_TADACONV = "not stated beside the files; see github.com/alibaba-mmai-research/TAdaConv"


@dataclass(frozen=True, kw_only=True)
class KnownWeights:
    """One file of released weights."""

    name: str
    """Short name of the entry."""
    model: str
    """Network to build, for ``create_model``; image weights start other ResNets as well."""
    url: str
    """Where to get the file."""
    num_classes: NumClasses
    """Classes of its head, or of its two heads."""
    clip: tuple[int, int, int]
    """(T, H, W) of the input that it was trained on."""
    frame_step: int | None = None
    """Frames of the video from one input frame to the next; None: spread over the whole video,
    or an image."""
    top1: float | None = None
    """Published accuracy in percent, on the data set it was trained on (of actions, where there
    are verbs and nouns)."""
    sha256: str | None = None
    """Checksum of the file, or its first digits."""
    licence: str = _TADACONV
    """Licence, or where to read it."""

    @property
    def is_plain_address(self) -> bool:
        """Whether the address is the file itself, not a page with a button."""
        return not self.url.startswith(_DRIVE.partition("{")[0])


KNOWN_WEIGHTS: tuple[KnownWeights, ...] = (
    KnownWeights(
        name="tada2d_k400_8x8",
        model="tada2d_r50",
        url=_DRIVE.format("1YsbTKLoDwxtStAsP5oxUMbIsw85NvY0O"),
        num_classes=400,
        clip=(8, 224, 224),
        frame_step=8,
        top1=76.7,
    ),
    KnownWeights(
        name="tada2d_k400_16x5",
        model="tada2d_r50",
        url=_DRIVE.format("1UQDurxakmnDxa5D2tBuTqTH60BVyW3XM"),
        num_classes=400,
        clip=(16, 224, 224),
        frame_step=5,
        top1=77.4,
    ),
    KnownWeights(
        name="tada2d_ssv2_8f",
        model="tada2d_r50",
        url=_DRIVE.format("16y6dDf-hcMmJ2jDCV9tRla8aRJZKJXSk"),
        num_classes=174,
        clip=(8, 224, 224),
        top1=64.2,
    ),
    KnownWeights(
        name="tada2d_ssv2_16f",
        model="tada2d_r50",
        url=_DRIVE.format("1xwCxuFW6DZ0xpEsp_tFJYQRGuHPJe4uS"),
        num_classes=174,
        clip=(16, 224, 224),
        top1=65.6,
    ),
    KnownWeights(
        name="tadaconvnextv2_tiny_k400_16f",
        model="tadaconvnextv2_tiny",
        url=_DRIVE.format("1_jkIOP8kYeMzgEGyVznDKXNRG2tSEOkV"),
        num_classes=400,
        clip=(16, 224, 224),
        top1=79.6,
    ),
    KnownWeights(
        name="tadaconvnextv2_small_k400_16f",
        model="tadaconvnextv2_small",
        url=_DRIVE.format("12R74tV2-VRRUxrH0Tubki5voRSCbR3F1"),
        num_classes=400,
        clip=(16, 224, 224),
        top1=80.8,
    ),
    KnownWeights(
        name="tadaconvnextv2_base_k400_16f",
        model="tadaconvnextv2_base",
        url=_DRIVE.format("1rtapp_GzQHe6CBrhcNfe4wuBAS106uIk"),
        num_classes=400,
        clip=(16, 224, 224),
        top1=81.4,
    ),
    KnownWeights(
        name="tadaformer_b16_k400_16f",
        model="tadaformer_b16",
        url=_DRIVE.format("1E7IE762YLJnfeiqtjv0jBb91_dZhNK0Q"),
        num_classes=400,
        clip=(16, 224, 224),
        top1=84.5,
    ),
    KnownWeights(
        name="tadaformer_l14_k400_16f",
        model="tadaformer_l14",
        url=_DRIVE.format("1chSLHo0nbFNObsLlCRSsAJE2vbYwIaYJ"),
        num_classes=400,
        clip=(16, 224, 224),
        top1=87.6,
    ),
    KnownWeights(
        name="tadaformer_b16_ssv2_16f",
        model="tadaformer_b16_ssv2",
        url=_DRIVE.format("1D-pKrxdrP2IcGXnd_e47ryci7OYCt8BK"),
        num_classes=174,
        clip=(16, 224, 224),
        top1=70.4,
    ),
    KnownWeights(
        name="vivit_fac_enc_k400_32x2",
        model="vivit_fac_enc_b16",
        url=_DRIVE.format("1xD4uij9DmZojnl1xuWBa-gwm5hUZxDc7"),
        num_classes=400,
        clip=(32, 224, 224),
        frame_step=2,
        top1=79.4,
    ),
    KnownWeights(
        name="vivit_fac_enc_ek100_320",
        model="vivit_fac_enc_b16_ek100",
        url=_DRIVE.format("1ELvwZYeqdsPmDcX1v7_RbFqbQnvHt9sB"),
        num_classes=_EK100,
        clip=(32, 320, 320),
        frame_step=2,
        top1=46.3,
    ),
    KnownWeights(
        name="csn_r152_ek100",
        model="csn_r152",
        url=_DRIVE.format("1YEIhijzN2aFXyfDL34WB6Q9strYP7WaU"),
        num_classes=_EK100,
        clip=(32, 224, 224),
        frame_step=2,
        top1=44.5,
    ),
    KnownWeights(
        name="r2d3d_18_mosi_hmdb51",
        model="r2d3d_18",
        url=_DRIVE.format("1A77b3uwxWwlCj0rm7uQcn6m0-uVCUeWQ"),
        num_classes=51,
        clip=(16, 112, 112),
        frame_step=4,
        top1=46.93,
    ),
    KnownWeights(
        name="r2p1d_10_mosi_hmdb51",
        model="r2p1d_10",
        url=_DRIVE.format("1OOkooh6_GNsyF_1EolgboN9MFE0O2N2n"),
        num_classes=51,
        clip=(16, 112, 112),
        frame_step=4,
        top1=51.83,
    ),
    KnownWeights(
        name="r2d3d_18_mosi_ucf101",
        model="r2d3d_18",
        url=_DRIVE.format("1cwM4Zi0VUGpaiw3mCQcfe1A1aluIppaq"),
        num_classes=101,
        clip=(16, 112, 112),
        frame_step=4,
        top1=71.75,
    ),
    KnownWeights(
        name="r2p1d_10_mosi_ucf101",
        model="r2p1d_10",
        url=_DRIVE.format("1cz_SMKFqvNyh_uEH8QOyomBf0MhOGN7Y"),
        num_classes=101,
        clip=(16, 112, 112),
        frame_step=4,
        top1=82.79,
    ),
    KnownWeights(
        name="torchvision_resnet50_v1",
        model="tada2d_r50",
        url="https://download.pytorch.org/models/resnet50-0676ba61.pth",
        num_classes=1000,
        clip=(1, 224, 224),
        sha256="0676ba61",
        licence="BSD-3-Clause (github.com/pytorch/vision)",
    ),
    KnownWeights(
        name="torchvision_resnet50_v2",
        model="tada2d_r50",
        url="https://download.pytorch.org/models/resnet50-11ad3fa6.pth",
        num_classes=1000,
        clip=(1, 224, 224),
        sha256="11ad3fa6",
        licence="BSD-3-Clause (github.com/pytorch/vision)",
    ),
    KnownWeights(
        name="timm_resnet50_a1",
        model="tada2d_r50",
        url="https://huggingface.co/timm/resnet50.a1_in1k/resolve/main/model.safetensors",
        num_classes=1000,
        clip=(1, 224, 224),
        licence="Apache-2.0 (its model card)",
    ),
)
