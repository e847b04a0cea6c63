"""The feature zoo: features as people exchange them; `python -m feature_extraction.zoo
pack|verify|export|import`.

pack, verify     a finished store <-> a folder to publish, with a card, an index and check sums
export, import   a store <-> files that OpenTAD, ActionFormer, BMN and the TAdaConv repository read or release
"""
