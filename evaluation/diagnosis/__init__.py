"""Diagnosis of detections: which errors cost how much, and which annotations are hard.

Alwassel, Caba Heilbron, Escorcia and Ghanem, "Diagnosing Error in Temporal Action Detectors", ECCV
2018 (DETAD). Everything starts from the matching of the official metrics, so that the categories
add up to the figures of the tables. Where the paper and its code leave a choice, each module says
what is done here.
"""

from __future__ import annotations

from evaluation.diagnosis.diagnose import Diagnosis, diagnose, diagnosis_to_json

__all__ = ["Diagnosis", "diagnose", "diagnosis_to_json"]
