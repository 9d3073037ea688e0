# PSPNet on the first paper's ResNet-50 with RepMLP blocks, which arXiv
# 2105.01883 (section 4.4) evaluates on Cityscapes. The paper's settings were
# not at hand: optimizer and schedule are those of mmsegmentation's PSPNet.
_base_ = ['./_base_/cityscapes_512x1024.py', './_base_/runtime_80k.py']

norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    data_preprocessor={{_base_.data_preprocessor}},
    backbone=dict(
        type='mmcls.RepMLPResNet',
        depth=50,
        block='light',
        # One image size for good: the global perceptron's FC layers connect
        # all partitions. 8x8 tile the maps of 64x128 and 32x64; at a ratio
        # of 1 these layers would hold 570 M parameters.
        img_size=(512, 1024),
        partition_size=8,
        globalperceptron_ratio=8,
        num_groups=8,
        out_indices=(0, 1, 2, 3),
        norm_cfg=norm_cfg),
    decode_head=dict(
        type='PSPHead',
        in_channels=2048,
        in_index=3,
        channels=512,
        pool_scales=(1, 2, 3, 6),
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(
            type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)),
    auxiliary_head=dict(
        type='FCNHead',
        in_channels=1024,
        in_index=2,
        channels=256,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(
            type='CrossEntropyLoss', use_sigmoid=False, loss_weight=0.4)),
    train_cfg=dict(),
    # Windows of exactly the size trained on, whatever the image.
    test_cfg=dict(mode='slide', crop_size=(512, 1024), stride=(256, 512)))

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4))
param_scheduler = [
    dict(
        type='PolyLR',
        eta_min=1e-4,
        power=0.9,
        by_epoch=False,
        begin=0,
        end=80000),
]
