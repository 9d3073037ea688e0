# Metric learning on faces. The schedule is that of the paper's ImageNet
# training; it does not give one for faces.
_base_ = [
    './_base_/faceresnet.py', './_base_/faces.py',
    './_base_/schedule_sgd_100ep.py', './_base_/runtime.py'
]
