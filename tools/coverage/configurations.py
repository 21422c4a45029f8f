"""Forty architectures of transformers that its users are likely to ask for, in small configurations.

An architecture that does not run stays in the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

VOCABULARY = 99
TEXT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}
GROUPED = TEXT | {"num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0}
PAIR = {
    "vocab_size": VOCABULARY,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}
PATCHES = {
    "image_size": 32,
    "patch_size": 8,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
SPEECH = {
    "vocab_size": 32,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "conv_dim": (32, 32, 32),
    "conv_kernel": (10, 3, 2),
    "conv_stride": (5, 2, 2),
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}
RESNET = {"embedding_size": 8, "hidden_sizes": [8, 16, 16, 32], "depths": [1, 1, 1, 1]}


@dataclass(frozen=True)
class Architecture:
    """A class of transformers, what its configuration is given, and a function of `inputs` below."""

    kind: str
    model: str
    config: Mapping[str, Any]
    inputs: str


ARCHITECTURES: dict[str, Architecture] = {
    "bert": Architecture("encoder", "BertForSequenceClassification", TEXT, "text"),
    "roberta": Architecture("encoder", "RobertaForSequenceClassification", TEXT, "text"),
    "xlm-roberta": Architecture("encoder", "XLMRobertaForTokenClassification", TEXT, "text"),
    "distilbert": Architecture(
        "encoder",
        "DistilBertForQuestionAnswering",
        {"vocab_size": VOCABULARY, "dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 4},
        "text",
    ),
    "albert": Architecture("encoder", "AlbertForMaskedLM", TEXT | {"embedding_size": 16}, "text"),
    "deberta-v2": Architecture(
        "encoder",
        "DebertaV2ForSequenceClassification",
        TEXT | {"relative_attention": True, "position_buckets": 16, "pos_att_type": ["p2c", "c2p"]},
        "text",
    ),
    "mpnet": Architecture("encoder", "MPNetModel", TEXT, "text"),
    "modernbert": Architecture(
        "encoder",
        "ModernBertForMaskedLM",
        TEXT | {"local_attention": 8, "global_attn_every_n_layers": 2, "pad_token_id": 0},
        "text",
    ),
    "gpt2": Architecture(
        "decoder",
        "GPT2LMHeadModel",
        {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
        "text",
    ),
    "gpt_neox": Architecture("decoder", "GPTNeoXForCausalLM", TEXT, "text"),
    "opt": Architecture(
        "decoder", "OPTForCausalLM", TEXT | {"ffn_dim": 64, "word_embed_proj_dim": 32}, "text"
    ),
    "bloom": Architecture(
        "decoder",
        "BloomForCausalLM",
        {"vocab_size": VOCABULARY, "hidden_size": 32, "n_layer": 2, "n_head": 4},
        "text",
    ),
    "falcon": Architecture("decoder", "FalconForCausalLM", TEXT, "text"),
    "llama": Architecture("decoder", "LlamaForCausalLM", GROUPED, "text"),
    "mistral": Architecture("decoder", "MistralForCausalLM", GROUPED | {"sliding_window": 8}, "text"),
    "mixtral": Architecture(
        "decoder",
        "MixtralForCausalLM",
        GROUPED | {"num_local_experts": 4, "num_experts_per_tok": 2},
        "text",
    ),
    "qwen2": Architecture("decoder", "Qwen2ForCausalLM", GROUPED, "text"),
    "qwen3": Architecture("decoder", "Qwen3ForCausalLM", GROUPED, "text"),
    "gemma2": Architecture("decoder", "Gemma2ForCausalLM", GROUPED | {"sliding_window": 8}, "text"),
    "phi3": Architecture("decoder", "Phi3ForCausalLM", GROUPED, "text"),
    "mamba": Architecture(
        "decoder",
        "MambaForCausalLM",
        {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 8},
        "text",
    ),
    "t5": Architecture(
        "encoder-decoder",
        "T5ForConditionalGeneration",
        {"vocab_size": VOCABULARY, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4},
        "text_pair",
    ),
    "bart": Architecture("encoder-decoder", "BartForConditionalGeneration", PAIR, "text_pair"),
    "marian": Architecture("encoder-decoder", "MarianMTModel", PAIR, "text_pair"),
    "m2m_100": Architecture("encoder-decoder", "M2M100ForConditionalGeneration", PAIR, "text_pair"),
    "vit": Architecture("vision", "ViTForImageClassification", PATCHES, "pictures"),
    "beit": Architecture("vision", "BeitForImageClassification", PATCHES, "pictures"),
    "swin": Architecture(
        "vision",
        "SwinForImageClassification",
        {
            "image_size": 32,
            "patch_size": 2,
            "embed_dim": 16,
            "depths": [2, 2],
            "num_heads": [2, 4],
            "window_size": 4,
        },
        "pictures",
    ),
    "dinov2": Architecture("vision", "Dinov2Model", PATCHES, "pictures"),
    "convnext": Architecture(
        "vision",
        "ConvNextForImageClassification",
        {"hidden_sizes": [8, 16, 16, 32], "depths": [1, 1, 1, 1]},
        "pictures",
    ),
    "resnet": Architecture("vision", "ResNetForImageClassification", RESNET, "pictures"),
    "mobilenet_v2": Architecture(
        "vision",
        "MobileNetV2ForImageClassification",
        {"image_size": 32, "depth_multiplier": 0.25, "initializer_range": 0.3},
        "pictures",
    ),
    "segformer": Architecture(
        "vision",
        "SegformerForSemanticSegmentation",
        {
            "hidden_sizes": [8, 16, 16, 32],
            "depths": [1, 1, 1, 1],
            "num_attention_heads": [1, 2, 2, 4],
            "decoder_hidden_size": 32,
        },
        "pictures",
    ),
    "detr": Architecture(
        "vision",
        "DetrForObjectDetection",
        {
            **{name: value for name, value in PAIR.items() if name != "vocab_size"},
            "num_queries": 6,
            "use_timm_backbone": False,
            "use_pretrained_backbone": False,
            "backbone": None,
            "backbone_config": {"model_type": "resnet", "out_features": ["stage4"], **RESNET},
        },
        "pictures",
    ),
    "clip": Architecture(
        "vision",
        "CLIPModel",
        {"text_config": TEXT, "vision_config": PATCHES, "projection_dim": 16},
        "text_and_pictures",
    ),
    "wav2vec2": Architecture("audio", "Wav2Vec2ForCTC", SPEECH, "sound"),
    "hubert": Architecture("audio", "HubertModel", SPEECH, "sound"),
    "wavlm": Architecture("audio", "WavLMModel", SPEECH, "sound"),
    "whisper": Architecture(
        "audio",
        "WhisperForConditionalGeneration",
        PAIR | {"num_mel_bins": 16, "max_source_positions": 30, "max_target_positions": 32},
        "spectrogram_and_text",
    ),
    "audio-spectrogram-transformer": Architecture(
        "audio",
        "ASTForAudioClassification",
        {**PATCHES, "num_mel_bins": 16, "max_length": 32, "frequency_stride": 8, "time_stride": 8},
        "spectrogram",
    ),
}


def make_inputs(what: str, batch: int, length: int) -> dict[str, Tensor]:
    """Random inputs by the names of the model's arguments; text has `length` tokens."""
    import torch

    ids = torch.randint(3, VOCABULARY, (batch, length))
    mask = torch.ones_like(ids)
    mask[0, -2:] = 0  # the first text is shorter than the others
    text = {"input_ids": ids, "attention_mask": mask}
    pictures = {"pixel_values": torch.randn(batch, 3, 32, 32)}
    target = {"decoder_input_ids": torch.randint(3, VOCABULARY, (batch, length - 2))}
    match what:
        case "text":
            return text
        case "text_pair":
            return text | target
        case "pictures":
            return pictures
        case "text_and_pictures":
            return text | {"pixel_values": torch.randn(batch + 1, 3, 32, 32)}
        case "sound":
            return {"input_values": torch.randn(batch, 800)}
        case "spectrogram":
            return {"input_values": torch.randn(batch, 32, 16)}
        case "spectrogram_and_text":
            return {"input_features": torch.randn(batch, 16, 60)} | target
    raise ValueError(what)
