# RepMLP-ResNet-50 at 224 pixels by the training of arXiv 2105.01883 (section
# 4.2): mixup, AutoAugment, random crops and flips. The paper does not give the
# strength of mixup; 0.2 is that of mmcls.
_base_ = ['./imagenet.py', './schedule_sgd_100ep.py', './runtime.py']

model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='RepMLPResNet',
        depth=50,
        img_size=224,
        partition_size=7,
        reparam_conv_kernels=(1, 3, 5),
        out_indices=(3, ),
        deploy=False),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=1000,
        in_channels=2048,
        loss=dict(type='CrossEntropyLoss', use_soft=True),
        topk=(1, 5)),
    train_cfg=dict(augments=dict(type='Mixup', alpha=0.2)))

train_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='RandomResizedCrop', scale=224, backend='pillow'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(
        type='AutoAugment',
        policies='imagenet',
        hparams=dict(  # padded with the mean of BGR images, as loaded
            pad_val=[104, 116, 124],
            interpolation='bicubic')),
    dict(type='PackClsInputs'),
]
# As DingXiaoH/RepMLP@b626c3d tests at 224 pixels.
test_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='ResizeEdge', scale=256, edge='short', backend='pillow'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackClsInputs'),
]
train_dataloader = dict(batch_size=32, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=32, dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(batch_size=32, dataset=dict(pipeline=test_pipeline))
