"""From proposals to labelled detections; finetuning of the video model
(`classification.finetune`)."""
