//! Embeddings, distances, scores and reports.
