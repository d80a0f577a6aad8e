#!/bin/bash
# Slurm: each component is one command; the Trainer's runs on every machine of the job.
#SBATCH --job-name=lenet5-digits
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --requeue
set -euo pipefail

MLRUNS=${MLRUNS:?a folder that all machines share}
PORT=${PORT:-2222}

# How the network is trained is part of every command: it decides which model is meant. How
# many machines train it does not, so the commands after the Trainer find what all have made.
PIPELINE=(python pipelines/lenet5_digits.py --mlruns "$MLRUNS"
  --trainer.distribution multi_worker)

one() { srun --nodes=1 --ntasks=1 "${PIPELINE[@]}" "$@"; }
# Every machine is told its number by srun, and makes its TF_CONFIG of it.
all() {
  srun --nodes="$SLURM_NNODES" --ntasks="$SLURM_NNODES" --kill-on-bad-exit=1 \
    bash -c 'export TF_CONFIG="{\"cluster\": {\"worker\": [$HOSTS]},
      \"task\": {\"type\": \"worker\", \"index\": $SLURM_PROCID}}"; exec "$@"' \
    worker "${PIPELINE[@]}" "$@"
}

HOSTS=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed "s/.*/\"&:$PORT\"/" | paste -sd,)
export HOSTS

one --until ExampleGen
one --until StatisticsGen
one --until SchemaGen
one --until ExampleValidator
one --until Transform
one --until Tuner
all --until Trainer
one --until Evaluator
one --until InfraValidator
one --until Pusher
