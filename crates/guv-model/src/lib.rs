//! The decisions of guv, pure: configuration, policies, statistics.
