# RepMLP-B at 224 pixels by the official training of 2022.
_base_ = [
    './repmlp_base.py', './imagenet_official.py',
    './schedule_official_100ep.py', './runtime.py'
]

model = dict(
    head=dict(loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1)),
    # One of the two for every batch, each as likely.
    train_cfg=dict(augments=[
        dict(type='FlipMixup', alpha=0.4),
        dict(type='FlipCutMix', alpha=1.0)
    ]),
    init_cfg=dict(type='TorchInit'))

# Every process mixes images by random numbers of its own.
randomness = dict(seed=0, diff_rank_seed=True)
default_hooks = dict(
    checkpoint=dict(max_keep_ckpts=2, save_best='accuracy/top1'))
env_cfg = dict(cudnn_benchmark=True)
