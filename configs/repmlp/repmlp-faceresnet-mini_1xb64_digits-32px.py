# The same with digits for identities, verified on images that it has not been
# trained on; see docs/first_paper.md.
_base_ = [
    './_base_/faceresnet.py', './_base_/digits.py', './_base_/runtime.py'
]

model = dict(
    backbone=dict(
        depth=(2, 2),
        img_size=32,
        base_channels=16,  # 64 and 128 in the stages
        partition_size=4,
        repmlp_stages=(0, 1),
        out_indices=(1, )),
    neck=[
        dict(type='GlobalAveragePooling'),
        dict(
            type='LinearReduction',
            in_channels=128,
            out_channels=32,
            norm_cfg=dict(type='BN1d'),
            act_cfg=None)
    ],
    head=dict(num_classes=10, in_channels=32, scale=16.))

val_evaluator = dict(_delete_=True, type='PairVerification')
test_evaluator = val_evaluator

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=1e-4))
auto_scale_lr = dict(base_batch_size=64)
param_scheduler = dict(
    type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True)
train_cfg = dict(by_epoch=True, max_epochs=10, val_interval=1)
val_cfg = dict()
test_cfg = dict()

default_hooks = dict(
    logger=dict(interval=10), checkpoint=dict(interval=1, max_keep_ckpts=1))
randomness = dict(seed=0)
