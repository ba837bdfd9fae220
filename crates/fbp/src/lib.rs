//! The graph of a network: the .fbp language and JSON graphs, parsed, printed and compared.
