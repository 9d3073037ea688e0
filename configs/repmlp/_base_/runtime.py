# What every config of this folder shares at run time.
custom_imports = dict(imports=['mmcls_repmlp'], allow_failed_imports=False)
default_scope = 'mmcls'

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=100),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='AtomicCheckpointHook', interval=1),
    sampler_seed=dict(type='ReproducibleSeedHook'),
    visualization=dict(type='VisualizationHook', enable=False))
# Several processes: average the running statistics of batch norm after every
# epoch, so that all of them validate, and save, the same model.
custom_hooks = [
    dict(type='SyncBuffersHook'),
    dict(type='CheckInvalidLossHook')
]
visualizer = dict(
    type='ClsVisualizer', vis_backends=[dict(type='LocalVisBackend')])

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'))
randomness = dict(seed=None, deterministic=False)
log_level = 'INFO'
load_from = None
resume = False
