"""The one training loop that finetuning and BMN share."""
