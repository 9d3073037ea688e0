# UPerNet on RepMLPNet-D256, which arXiv 2112.11081 reports on Cityscapes. The
# paper's settings were not at hand: optimizer and schedule are those that
# mmsegmentation gives hierarchical backbones trained with AdamW.
_base_ = [
    './_base_/cityscapes_512x1024.py', './_base_/decoder.py',
    './_base_/runtime_80k.py'
]

model = dict(
    data_preprocessor={{_base_.data_preprocessor}},
    backbone=dict(
        type='mmcls.RepMLPNet',
        arch='D',
        img_size=256,
        reparam_conv_kernels=(1, 3),
        # Crops of 512x1024 need no padding; images of other sizes get it.
        pad_to_multiple=True,
        deploy=False),
    decode_head=dict(
        type='UPerHead',
        in_channels=[80, 160, 320, 640],
        in_index=[0, 1, 2, 3]),
    auxiliary_head=dict(in_channels=320))

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
    paramwise_cfg=dict(norm_decay_mult=0., bias_decay_mult=0.))
param_scheduler = [
    dict(
        type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(
        type='PolyLR',
        eta_min=0.,
        power=1.0,
        by_epoch=False,
        begin=1500,
        end=80000),
]
