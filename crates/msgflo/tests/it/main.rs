//! Participants as their users run them: on a broker in memory, on real ones, and as programs.

mod announcing;
mod brokers;
mod jobs;
mod leaving;
mod programs;
mod reports;
