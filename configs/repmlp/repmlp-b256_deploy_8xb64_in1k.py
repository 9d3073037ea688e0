_base_ = './repmlp-base_deploy_8xb64_in1k-256px.py'  # mmcls' 0.x name
