"""MI2's image tower: DaViT (arXiv 2204.03645) in the form that MedImageInsight uses."""

from timm.models.davit import DaVit
from torch import Tensor

from radscale_lib.encoders.features import Features, Tower
from radscale_lib.study.encoders import Mi2


class DavitTower(DaVit, Tower):
    """timm's DaViT with overlapping downsampling (kernel 3) and channel attention scaled by N.

    Parameters carry timm's names. The pooled output is the mean over the last stage, then a
    LayerNorm; there is no classifier.
    """

    encoder: Mi2

    def __init__(self, encoder: Mi2) -> None:
        config = encoder.image
        super().__init__(
            embed_dims=config.dims,
            depths=config.depths,
            num_heads=config.heads,
            window_size=config.window,
            drop_path_rate=config.drop_path,
            down_kernel_size=3,
            channel_attn_v2=True,
            named_blocks=True,
            num_classes=0,
        )
        self.encoder = encoder

    @property
    def width(self) -> int:
        """Channels of the global embedding."""
        return self.encoder.image.dims[-1]

    def forward(self, images: Tensor) -> Tensor:
        """Global embedding [B, D] of grey images, float32 [B, 1, S, S] in [0, 1]."""
        x: Tensor = self.head(self.stages(self.stem(self._normalised(images))))
        return x

    def levels(self, images: Tensor) -> Features:
        """Features of grey images: float32 [B, 1, S, S] in [0, 1]."""
        x = self.stem(self._normalised(images))
        levels = []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        first, second, third, fourth = levels
        return Features(self.head(x), (first, second, third, fourth))

    def _normalised(self, images: Tensor) -> Tensor:
        """[B, 1, S, S] -> [B, 3, S, S]: one grey channel, normalised for each input channel."""
        config = self.encoder.image
        mean, std = (
            images.new_tensor(values).view(3, 1, 1) for values in (config.mean, config.std)
        )
        return (images - mean) / std
