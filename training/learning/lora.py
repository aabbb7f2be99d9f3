"""Target modules of LoRA adapters."""

# excludes the vision tower
LORA_TARGETS = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
