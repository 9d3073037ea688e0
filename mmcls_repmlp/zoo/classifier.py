"""A backbone with its head, by the methods that timm's models have."""
from __future__ import annotations

import copy
from typing import Any

from mmengine.config import Config
from torch import Tensor, nn

from mmcls_repmlp.host import MODELS, GlobalAveragePooling


class Classifier(nn.Module):
    """Images to logits, in training or deploy form.

    Its weights have the names that they have in checkpoints of the host's
    ``ImageClassifier``. Images are normalised as :attr:`default_cfg` says.

    Attributes:
        cfg: Config of the model, for the host and for the commands.
        backbone: The backbone, :class:`RepMLPNet` or another.
        neck: Module that pools the last map.
        head: Module of the classifier, or None without classes.

    Args:
        cfg: Config with ``model`` and ``data_preprocessor``.
    """

    backbone: Any
    neck: Any
    head: Any

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.cfg = cfg
        model = cfg.model
        self.backbone = _build(model.backbone)
        self.neck = _build(model.neck)
        if isinstance(self.neck, GlobalAveragePooling):
            last = self.backbone.feature_info[self.backbone.out_indices[-1]]
            model.head.in_channels = last['num_chs']
        self.num_features = self.head_hidden_size = model.head.in_channels
        self.head = None
        self.reset_classifier(model.head.num_classes)

    @property
    def default_cfg(self) -> dict[str, Any]:
        """Image size, mean and std for pixels from 0 to 1, as in timm."""
        pixels = self.cfg.data_preprocessor
        mean, std = (
            tuple(round(value / 255, 6) for value in pixels[key])
            for key in ('mean', 'std'))
        return dict(
            input_size=(self.cfg.model.backbone.get('in_channels', 3),
                        *self.backbone.img_size),
            num_classes=self.num_classes,
            mean=mean,
            std=std)

    @property
    def feature_info(self) -> list[dict[str, Any]]:
        """Description of the maps of all stages, see the backbone."""
        return self.backbone.feature_info

    @property
    def deploy(self) -> bool:
        """Whether this is the merged form."""
        return self.backbone.deploy

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        return self.forward_head(self.forward_features(images))

    def forward_features(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) to the last map (N, C', H', W')."""
        return self.backbone(images)[-1]

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Map the last map to logits, or to features (N, num_features).

        Without classes, or with ``pre_logits``, it gives the features.
        """
        x = self.neck(x)
        x = x[-1] if isinstance(x, tuple) else x
        return x if pre_logits or self.head is None else self.head((x, ))

    def get_classifier(self) -> nn.Module:
        """Return the head's layer of weights; Identity without classes."""
        if self.head is None:
            return nn.Identity()
        layers = dict(self.head.named_children())
        return layers.get('fc', [*layers.values()][-1])

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the head by a new one; 0 classes leave the features."""
        self.num_classes = self.cfg.model.head.num_classes = num_classes
        if num_classes == 0:
            self.head = None
            return
        like = next(self.backbone.parameters())
        head: Any = _build(self.cfg.model.head).to(like.device, like.dtype)
        if not like.is_meta:
            head.init_weights()
        self.head = head.train(self.training)

    def switch_to_deploy(self) -> None:
        """Merge the convolutions into the fully connected layers, in place."""
        self.backbone.switch_to_deploy()


def _build(cfg: Any) -> nn.Module:
    return MODELS.build(copy.deepcopy(cfg))
