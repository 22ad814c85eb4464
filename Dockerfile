FROM python:3.12-slim
WORKDIR /app
COPY . .
# at most two heaps for all threads: freed memory goes back to a small server
ENV MIII_SHARED=1 MALLOC_ARENA_MAX=2 OMP_NUM_THREADS=1
RUN pip install --no-cache-dir -r requirements.txt && useradd --create-home miii
USER miii
EXPOSE 8501
CMD ["python", "-m", "streamlit", "run", "app.py", "--server.headless=true", "--server.address=0.0.0.0"]
