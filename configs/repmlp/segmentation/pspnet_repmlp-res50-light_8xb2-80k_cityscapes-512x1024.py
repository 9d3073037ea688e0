# PSPNet on the first paper's ResNet-50 with RepMLP blocks, which arXiv
# 2105.01883 (section 4.4) evaluates on Cityscapes. The paper's settings were
# not at hand: optimizer and schedule are those of mmsegmentation's PSPNet.
_base_ = [
    './_base_/cityscapes_512x1024.py', './_base_/decoder.py',
    './_base_/runtime_80k.py'
]

model = dict(
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
        num_groups=8),
    decode_head=dict(type='PSPHead', in_channels=2048, in_index=3),
    auxiliary_head=dict(in_channels=1024))

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
