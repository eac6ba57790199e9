"""Classifiers of decoders for which transformers has none: the body that its `AutoModel` makes, and one
linear layer on the last token's state, as its own classifiers of decoders are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PretrainedConfig


def ensure_classifier(config: PretrainedConfig) -> None:
    """Have `AutoModelForSequenceClassification` make a classifier of an architecture, in this process.

    Nothing changes where transformers has one, and for an architecture without a body or that is no decoder.
    The classifier keeps the names of the parameters below its head, so that it takes the weights of a
    language model of its architecture.
    """
    from transformers import (
        MODEL_FOR_CAUSAL_LM_MAPPING,
        MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
        MODEL_MAPPING,
        AutoModelForSequenceClassification,
    )

    kind = type(config)
    is_decoder = kind in MODEL_FOR_CAUSAL_LM_MAPPING and not config.is_encoder_decoder
    if kind in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING or kind not in MODEL_MAPPING or not is_decoder:
        return
    body = MODEL_MAPPING[kind]
    if isinstance(body, tuple):  # one of several by the configuration's values, of which none is meant here
        return
    AutoModelForSequenceClassification.register(kind, _classifier(kind, body), exist_ok=True)


def _classifier(config_class: type[PretrainedConfig], body_class: Any) -> type:
    """The class of a classifier with a body of another class, with what the architecture's models share: how
    they draw weights, which kernels they take, where they can be divided."""
    import torch
    from transformers import AutoModel, PreTrainedModel
    from transformers.modeling_outputs import SequenceClassifierOutput

    shared = next(parent for parent in body_class.__mro__[1:] if parent.__name__.endswith("PreTrainedModel"))
    prefix = getattr(shared, "base_model_prefix", "") or "model"

    class Classifier(shared):  # type: ignore[misc, valid-type]
        base_model_prefix = prefix

        def __init__(self, config: PretrainedConfig) -> None:
            super().__init__(config)
            self.num_labels = config.num_labels
            setattr(self, prefix, AutoModel.from_config(config))
            assert config.num_labels is not None
            self.score = torch.nn.Linear(config.get_text_config().hidden_size, config.num_labels, bias=False)
            self.post_init()

        def forward(
            self,
            input_ids: Tensor,
            attention_mask: Tensor | None = None,
            use_cache: bool = False,
            **options: Any,
        ) -> SequenceClassifierOutput:
            """(B, K) logits of each text: the head's, on its last token that isn't padding."""
            body = getattr(self, prefix)
            states = body(
                input_ids=input_ids, attention_mask=attention_mask, use_cache=use_cache, **options
            ).last_hidden_state
            places = torch.arange(input_ids.shape[1], device=input_ids.device)
            is_token = input_ids != self.config.get_text_config().pad_token_id
            last = (places * is_token).argmax(dim=1)
            rows = torch.arange(len(input_ids), device=input_ids.device)
            return SequenceClassifierOutput(logits=self.score(states[rows, last]))

    assert issubclass(shared, PreTrainedModel)
    stem = shared.__name__.removesuffix("PreTrainedModel")
    Classifier.__name__ = Classifier.__qualname__ = f"{stem}ForSequenceClassification"
    Classifier.config_class = config_class
    return Classifier
