# RepMLP-ResNet-50 at 320 pixels (arXiv 2105.01883, section 4.2): partitions of
# 10x10, with one local convolution more.
_base_ = './repmlp_resnet50_224px.py'

model = dict(
    backbone=dict(
        block='bottleneck',
        img_size=320,
        partition_size=10,
        reparam_conv_kernels=(1, 3, 5, 7),
        reduction=(2, 4)))

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomResizedCrop', scale=320, backend='pillow'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(
        type='AutoAugment',
        policies='imagenet',
        hparams=dict(  # padded with the mean of BGR images, as loaded
            pad_val=[104, 116, 124], interpolation='bicubic')),
    dict(type='PackClsInputs'),
]
# As DingXiaoH/RepMLP@b626c3d tests at other sizes than 224 pixels.
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=320, edge='short', backend='pillow'),
    dict(type='CenterCrop', crop_size=320),
    dict(type='PackClsInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
