fn main() {
    let t = std::time::Instant::now();
    let d = std::env::args().nth(1).unwrap();
    let f = imageresize::photograph::render_all(std::path::Path::new(&d), 24).unwrap();
    eprintln!("{:?} {:?}", f.len(), t.elapsed());
    let t = std::time::Instant::now();
    let mut px = 0;
    for p in &f {
        let b = std::fs::read(p).unwrap();
        px += b.len();
        let o = imageresize::picture::resize(
            &b,
            imageresize::picture::Target {
                bounds: imageresize::picture::Size::new(480, 480),
                format: imageresize::message::Format::Jpeg,
            },
            imageresize::picture::Limits { max_pixels: 40_000_000 },
        )
        .unwrap();
        std::fs::write(p.with_extension("small.jpg"), o).unwrap();
    }
    eprintln!("{px} bytes; {:?} each", t.elapsed() / 24);
}
