"""The testing kit: what plugin authors build against and are judged by."""
