# ResMLP on ImageNet, 128 images per process. Optimizer, learning rate and
# decay are those of arXiv 2105.03404, section 3.1. For everything else it
# names DeiT: the defaults of facebookresearch/deit at 7e160fe. Not trained
# here.
_base_ = ['./imagenet.py', './runtime.py']

model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='ResMLP',
        arch='s12',
        img_size=224,
        reparam_conv_kernels=None,
        deploy=False),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=1000,
        in_channels=384,
        init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02),
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1),
        topk=(1, 5)),
    # One of the two for every batch, each as likely.
    train_cfg=dict(augments=[
        dict(type='FlipMixup', alpha=0.8),
        dict(type='FlipCutMix', alpha=1.0)
    ]))

# Images are BGR until the model takes them.
__mean, __std = [103.53, 116.28, 123.675], [57.375, 57.12, 58.395]
__resize = dict(backend='pillow', interpolation='bicubic')
train_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='RandomResizedCrop', scale=224, **__resize),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(
        type='RandAugment',
        policies='timm_increasing',
        num_policies=2,
        total_level=10,
        magnitude_level=9,
        magnitude_std=0.5,
        hparams=dict(pad_val=[104, 116, 124], interpolation='bicubic')),
    dict(
        type='RandomErasing',
        erase_prob=0.25,
        mode='rand',
        min_area_ratio=0.02,
        max_area_ratio=1 / 3,
        fill_color=__mean,
        fill_std=__std),
    dict(type='PackClsInputs'),
]
# 224 / 0.9, as its README_resmlp.md tests.
test_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='ResizeEdge', edge='short', scale=248, **__resize),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackClsInputs'),
]
train_dataloader = dict(
    batch_size=128,
    num_workers=8,
    drop_last=True,
    sampler=dict(type='RepeatAugSampler', num_repeats=3),
    dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=128, num_workers=8, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

optim_wrapper = dict(
    optimizer=dict(type='Lamb', lr=5e-3, weight_decay=0.2),
    # No decay of 1-D parameters and biases, nor of those of Affine.
    paramwise_cfg=dict(
        bias_decay_mult=0.,
        flat_decay_mult=0.,
        custom_keys={
            '.alpha': dict(decay_mult=0.),
            '.beta': dict(decay_mult=0.)
        }))
# The learning rate is meant for this many images per step: pass
# --auto-scale-lr to adapt it to yours.
auto_scale_lr = dict(base_batch_size=1024)

param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=2e-4,  # from 1e-6
        by_epoch=True,
        end=5,
        convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=1e-5, by_epoch=True, begin=5)
]
train_cfg = dict(by_epoch=True, max_epochs=300, val_interval=1)
val_cfg = dict()
test_cfg = dict()

default_hooks = dict(
    checkpoint=dict(max_keep_ckpts=2, save_best='accuracy/top1'))
randomness = dict(seed=0, diff_rank_seed=True)
env_cfg = dict(cudnn_benchmark=True)
