"""Reference models whose parameters have the names of published weights, written with twain's public API only."""

from .bert import BertConfig, BertForMaskedLM, BertForSequenceClassification, BertModel
from .gpt2 import GPT2Config, GPT2LMHeadModel, GPT2Model
from .language import LSTMConfig, LSTMLanguageModel
from .llama import LlamaConfig, LlamaForCausalLM, LlamaModel
from .mobilenet import MobileNetV2, MobileNetV2Config, mobilenet_v2
from .pretrained import Cache, Pretrained
from .resnet import ResNet, ResNetConfig, resnet18, resnet34, resnet50
from .translation import TranslationConfig, TranslationModel
from .unet import UNet, UNetConfig
from .vit import VisionTransformer, ViTConfig, vit_b_16
from .whisper import WhisperConfig, WhisperEncoder

__all__ = [
    "BertConfig",
    "BertForMaskedLM",
    "BertForSequenceClassification",
    "BertModel",
    "Cache",
    "GPT2Config",
    "GPT2LMHeadModel",
    "GPT2Model",
    "LSTMConfig",
    "LSTMLanguageModel",
    "LlamaConfig",
    "LlamaForCausalLM",
    "LlamaModel",
    "MobileNetV2",
    "MobileNetV2Config",
    "Pretrained",
    "ResNet",
    "ResNetConfig",
    "TranslationConfig",
    "TranslationModel",
    "UNet",
    "UNetConfig",
    "ViTConfig",
    "VisionTransformer",
    "WhisperConfig",
    "WhisperEncoder",
    "mobilenet_v2",
    "resnet18",
    "resnet34",
    "resnet50",
    "vit_b_16",
]
