"""The demo: every model on one data set, measured; two home screens; the best model saved."""
