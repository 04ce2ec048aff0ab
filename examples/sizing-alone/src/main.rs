//! The figures of the reference report (google/gemma-3-12b-it on vLLM 0.11.2, 10.28 GiB for the KV cache), in ten lines.

use sizing::{Engine, EngineFlags, KvMemory, PrintedGib, catalogue, mix::Lengths};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = catalogue::model("google/gemma-3-12b-it")?;
    let memory = KvMemory::Available(PrintedGib::new(10.28).nominal());
    let plan = Engine::vllm("0.11.2")?.kv_cache(model, &EngineFlags::new(4096), memory)?;
    println!("{plan}");
    let (isl, osl) = (Lengths::Uniform(100.into(), 300.into()), Lengths::Fixed(200.into()));
    let held = plan.holds(&isl, &osl).ok_or("no lengths")?;
    println!("requests of 100 to 300 + 200 tokens: {:.0} on average, {:.0} safely", held.expected, held.safe);
    Ok(())
}
