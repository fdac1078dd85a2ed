/** The Qdrant release both operation tables were read from. */
export const QDRANT_VERSION = 'v1.20.0';
