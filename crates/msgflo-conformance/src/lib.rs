//! What every transport and broker must do, as a reusable test suite.
