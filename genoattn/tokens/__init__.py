"""States to entity tokens: vocabulary, encodings, features of tokens, a new cohort on an old vocabulary."""

from genoattn.tokens.vocabulary import ENCODINGS, Encoding, Vocabulary, build_vocabulary, default_encoding

__all__ = ["ENCODINGS", "Encoding", "Vocabulary", "build_vocabulary", "default_encoding"]
